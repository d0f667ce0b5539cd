//! Failing and extending claims. A claim is matched by tenant and token.

use std::{cell::RefCell, collections::HashMap};

use intent_bus_protocol::generation::Generation;
use uuid::Uuid;

use crate::{
    domain::{
        ids::IntentId,
        intent::State,
        retry::{AfterFailure, after_failure},
    },
    error::{Error, Result},
    store::{Store, Tx, admission::Admission, statements},
    telemetry::flow::Burial,
};

/// The claim that a request says it holds.
#[derive(Debug, Clone, Copy)]
pub struct HeldClaim {
    /// The intent.
    pub id: IntentId,
    /// Who claimed it.
    pub tenant: i64,
    /// Hash of the claim token. None: the tenant suffices (clients that know no tokens).
    pub token: Option<Uuid>,
}

impl Store {
    /// Reports failed attempts with their errors: each intent is open again after its backoff, or dead.
    ///
    /// # Errors
    /// What admission refuses. For each claim: `not_found` when it is not held (any more).
    pub async fn fail(
        &self,
        admission: &Admission,
        claims: &[(HeldClaim, String)],
        generation: Generation,
    ) -> Result<Vec<Result<State>>> {
        // The first try has the rows locked, so if its answer is lost, it is what changed them.
        let before = RefCell::new(HashMap::<usize, Failed>::new());
        let answer = self.transact(admission, async |tx| {
            let mut decided = fail(tx, claims, generation).await?;
            if tx.maybe_done() {
                for (item, failed) in before.borrow().iter() {
                    decided.entry(*item).or_insert_with(|| failed.clone());
                }
            }
            before.borrow_mut().clone_from(&decided);
            Ok((0..claims.len()).map(|item| decided.remove(&item).ok_or_else(claim_over)).collect::<Vec<_>>())
        });
        let answer = answer.await;
        self.count_answers("fail", claims.len(), &answer);
        let failed = answer?;
        for failed in failed.iter().flatten() {
            self.count_failed(failed);
        }
        Ok(failed.into_iter().map(|answer| answer.map(|failed| failed.state)).collect())
    }

    fn count_failed(&self, failed: &Failed) {
        match failed.state {
            State::Dead => self.flow.buried(&failed.namespace, &failed.goal, Burial::Failed),
            _ => self.flow.failed(&failed.namespace, &failed.goal),
        }
    }

    /// Moves the end of a live lease by so many seconds.
    ///
    /// # Errors
    /// `not_found` when the lease is over or the claim is not held.
    pub async fn extend(&self, admission: &Admission, claim: HeldClaim, seconds: f64) -> Result<()> {
        let answer = self.transact(admission, async |tx| {
            let statement = tx.prepare_cached(statements::EXTEND).await?;
            let row = tx.query_opt(&statement, &[&claim.id.0, &claim.tenant, &claim.token, &seconds]).await?;
            row.map(drop).ok_or_else(claim_over)
        });
        let answer = answer.await;
        self.flow.outcome("extend", answer.as_ref().copied().map_err(Error::code), 1);
        answer
    }
}

/// A claim that has failed.
#[derive(Debug, Clone)]
struct Failed {
    /// What became of the intent.
    state: State,
    namespace: String,
    goal: String,
}

/// Fails those of the claims that are held, and says what becomes of each, by its number. One that is named twice is failed once.
async fn fail(tx: &Tx<'_>, claims: &[(HeldClaim, String)], generation: Generation) -> Result<HashMap<usize, Failed>> {
    let ids: Vec<Uuid> = claims.iter().map(|(claim, _)| claim.id.0).collect();
    let tokens: Vec<Option<Uuid>> = claims.iter().map(|(claim, _)| claim.token).collect();
    let Some((first, _)) = claims.first() else { return Ok(HashMap::new()) };
    let statement = tx.prepare_cached(statements::LOCK_CLAIM).await?;
    let rows = tx.query(&statement, &[&ids, &tokens, &first.tenant]).await?;
    let (mut decided, mut open, mut dead) = (HashMap::new(), Failures::default(), Failures::default());
    let mut last = None;
    for row in rows {
        let (id, item): (Uuid, i64) = (row.try_get("id")?, row.try_get("item")?);
        if last.replace(id) == Some(id) {
            continue;
        }
        let item = usize::try_from(item - 1).map_err(Error::fault)?;
        let (_, error) = claims.get(item).ok_or_else(|| Error::fault("a claim was locked that nobody named"))?;
        let next = after_failure(
            generation,
            row.try_get("has_retry_policy")?,
            row.try_get("claim_attempts")?,
            row.try_get("max_attempts")?,
        );
        let (state, failures) = match next {
            AfterFailure::Requeue => (State::Open, &mut open),
            AfterFailure::Bury => (State::Dead, &mut dead),
        };
        let failed = Failed { state, namespace: row.try_get("namespace")?, goal: row.try_get("goal")? };
        decided.insert(item, failed);
        failures.ids.push(id);
        failures.errors.push(error);
    }
    for (failures, text) in [(open, statements::REQUEUE), (dead, statements::BURY)] {
        if !failures.ids.is_empty() {
            let statement = tx.prepare_cached(text).await?;
            tx.query(&statement, &[&failures.ids, &failures.errors]).await?;
        }
    }
    Ok(decided)
}

/// Intents with the errors they failed by.
#[derive(Default)]
struct Failures<'a> {
    ids: Vec<Uuid>,
    errors: Vec<&'a str>,
}

pub(super) fn claim_over() -> Error {
    Error::not_found("No such claim: it is finished, its lease was lost, or the token is another claim's.")
}
