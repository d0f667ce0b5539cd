//! Failing and extending claims. A claim is matched by tenant and token.

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, HashSet},
    time::SystemTime,
};

use intent_bus_protocol::generation::Generation;
use tokio_postgres::{Row, types::ToSql};
use uuid::Uuid;

use super::late::{self, Late, Outcome};
use crate::{
    domain::{
        ids::IntentId,
        intent::State,
        retry::{AfterFailure, after_failure},
    },
    error::{Error, Result},
    store::{Store, Tx, admission::Admission, statements},
    telemetry::{
        events::{Changed, changed},
        flow::Burial,
    },
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
    ) -> Result<Vec<Result<Failed>>> {
        let before = RefCell::new(HashMap::<usize, Failed>::new());
        let answer = self.transact(admission, async |tx| {
            let first = before.borrow().clone();
            let mut decided = fail(tx, claims, &first, generation).await?;
            let rest = first.into_iter().filter(|(item, _)| !decided.contains_key(item)).collect();
            decided.extend(have_failed(tx, claims, rest).await?);
            before.borrow_mut().clone_from(&decided);
            Ok((0..claims.len()).map(|item| decided.remove(&item).ok_or_else(claim_over)).collect::<Vec<_>>())
        });
        let answer = answer.await;
        self.count_answers("fail", claims.len(), &answer);
        let mut failed = answer?;
        let too_late: Vec<Late<'_>> = claims
            .iter()
            .zip(&failed)
            .filter(|(_, answer)| answer.is_err())
            .map(|((claim, error), _)| Late { claim: *claim, outcome: Outcome::Failed(error) })
            .collect();
        if !too_late.is_empty() {
            let kept = match self.client().await {
                Ok(client) => late::keep(&client, &too_late).await,
                Err(error) => Err(error),
            };
            late::kept_or_busy(kept, &mut failed);
        }
        for ((claim, _), failed) in claims.iter().zip(&failed) {
            if let Ok(failed) = failed {
                self.count_failed(claim.id, failed);
            }
        }
        Ok(failed)
    }

    fn count_failed(&self, id: IntentId, Failed { state, settled }: &Failed) {
        changed("failed", id, settled.into());
        if *state == State::Dead {
            self.flow.buried(&settled.namespace, &settled.goal, Burial::Failed);
            changed("buried", id, settled.into());
        } else {
            self.flow.failed(&settled.namespace, &settled.goal);
            changed("requeued", id, settled.into());
        }
    }

    /// Moves the end of a live lease by so many seconds.
    ///
    /// # Errors
    /// `not_found` when the lease is over or the claim is not held.
    pub async fn extend(&self, admission: &Admission, claim: HeldClaim, seconds: f64) -> Result<Settled> {
        let end = Cell::new(None::<SystemTime>);
        let answer = self.transact(admission, async |tx| {
            let statement = tx.prepare_cached(statements::EXTEND).await?;
            let parameters: [&(dyn ToSql + Sync); 5] = [&claim.id.0, &claim.tenant, &claim.token, &seconds, &end.get()];
            let row = tx.query_opt(&statement, &parameters).await?.ok_or_else(claim_over)?;
            end.set(Some(row.try_get("lease_until")?));
            Ok(Settled::read(&row)?)
        });
        let answer = answer.await;
        self.flow.outcome("extend", answer.as_ref().map(|_| ()).map_err(Error::code), 1);
        if let Ok(settled) = &answer {
            changed("extended", claim.id, settled.into());
        }
        answer
    }
}

/// What a claim was for that has ended, or goes on.
#[derive(Debug, Clone)]
pub struct Settled {
    /// The intent's namespace.
    pub namespace: String,
    /// Its goal.
    pub goal: String,
    /// Which claim of it this was.
    pub attempt: i16,
    /// The worker, if it has a name.
    pub worker: Option<String>,
    /// The trace of its publication.
    pub traceparent: Option<String>,
}

/// A claim that has failed.
#[derive(Debug, Clone)]
pub struct Failed {
    /// What became of the intent.
    pub state: State,
    /// What it was for.
    pub settled: Settled,
}

impl Settled {
    pub(super) fn read(row: &Row) -> std::result::Result<Self, tokio_postgres::Error> {
        Ok(Self {
            namespace: row.try_get("namespace")?,
            goal: row.try_get("goal")?,
            attempt: row.try_get("claim_attempts")?,
            worker: row.try_get("worker_id")?,
            traceparent: row.try_get("traceparent")?,
        })
    }
}

impl<'a> From<&'a Settled> for Changed<'a> {
    fn from(settled: &'a Settled) -> Self {
        let Settled { namespace, goal, attempt, worker, .. } = settled;
        Self { namespace, goal, attempt: Some(*attempt), worker: worker.as_deref() }
    }
}

/// Fails those of the claims that are held, and says what becomes of each, by its number. One that is named twice is failed once.
/// `first`: what an earlier try of the same request has failed, if its COMMIT took place.
async fn fail(
    tx: &Tx<'_>,
    claims: &[(HeldClaim, String)],
    first: &HashMap<usize, Failed>,
    generation: Generation,
) -> Result<HashMap<usize, Failed>> {
    let ids: Vec<Uuid> = claims.iter().map(|(claim, _)| claim.id.0).collect();
    let tokens: Vec<Option<Uuid>> = claims.iter().map(|(claim, _)| claim.token).collect();
    let Some((HeldClaim { tenant, .. }, _)) = claims.first() else { return Ok(HashMap::new()) };
    let statement = tx.prepare_cached(statements::LOCK_CLAIM).await?;
    let rows = tx.query(&statement, &[&ids, &tokens, tenant]).await?;
    let (mut decided, mut open, mut dead) = (HashMap::new(), Failures::default(), Failures::default());
    let mut last = None;
    for row in rows {
        let (id, item): (Uuid, i64) = (row.try_get("id")?, row.try_get("item")?);
        if last.replace(id) == Some(id) {
            continue;
        }
        let item = usize::try_from(item - 1).map_err(Error::fault)?;
        let (_, error) = claims.get(item).ok_or_else(|| Error::fault("a claim was locked that nobody named"))?;
        let settled = Settled::read(&row)?;
        // Without a token, a later claim of the same tenant's is as good; the earlier try was for the one before.
        if first.get(&item).is_some_and(|failed| failed.settled.attempt != settled.attempt) {
            continue;
        }
        let (has_policy, most) = (row.try_get("has_retry_policy")?, row.try_get("max_attempts")?);
        let next = after_failure(generation, has_policy, settled.attempt, most);
        let (state, failures) = match next {
            AfterFailure::Requeue => (State::Open, &mut open),
            AfterFailure::Bury => (State::Dead, &mut dead),
        };
        decided.insert(item, Failed { state, settled });
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

/// Those of them that an earlier try of the same request has failed: its COMMIT got no answer, but took place.
async fn have_failed(
    tx: &Tx<'_>,
    claims: &[(HeldClaim, String)],
    before: HashMap<usize, Failed>,
) -> Result<HashMap<usize, Failed>> {
    if before.is_empty() {
        return Ok(before);
    }
    let before: Vec<(usize, Failed)> = before.into_iter().collect();
    let ids: Vec<Uuid> = before.iter().map(|(item, _)| claims[*item].0.id.0).collect();
    let attempts: Vec<i16> = before.iter().map(|(_, failed)| failed.settled.attempt).collect();
    let errors: Vec<&str> = before.iter().map(|(item, _)| claims[*item].1.as_str()).collect();
    let last: Vec<bool> = before.iter().map(|(_, failed)| failed.state == State::Dead).collect();
    let statement = tx.prepare_cached(statements::HAS_FAILED).await?;
    let rows = tx.query(&statement, &[&ids, &attempts, &errors, &last]).await?;
    let found = rows.iter().map(|row| row.try_get("item")).collect::<std::result::Result<HashSet<i64>, _>>()?;
    Ok((1..).zip(before).filter(|(number, _)| found.contains(number)).map(|(_, failed)| failed).collect())
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
