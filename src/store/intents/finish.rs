//! Failing and extending claims. A claim is matched by tenant and token.

use intent_bus_protocol::generation::Generation;
use uuid::Uuid;

use crate::{
    domain::{
        ids::IntentId,
        intent::State,
        retry::{AfterFailure, after_failure},
    },
    error::{Error, Result},
    store::{Store, admission::Admission, statements},
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
    /// Reports a failed attempt: the intent is open again after its backoff, or dead.
    ///
    /// # Errors
    /// `not_found` when the claim is not held (any more).
    pub async fn fail(
        &self,
        admission: &Admission,
        claim: HeldClaim,
        error: &str,
        generation: Generation,
    ) -> Result<State> {
        let decided = std::cell::Cell::new(None);
        self.transact(admission, async |tx| {
            let statement = tx.prepare_cached(statements::LOCK_CLAIM).await?;
            let Some(row) = tx.query_opt(&statement, &[&claim.id.0, &claim.tenant, &claim.token]).await? else {
                // The first try had the row locked, so it is what changed it.
                return decided.get().filter(|_| tx.maybe_done()).ok_or_else(claim_over);
            };
            let next = after_failure(
                generation,
                row.try_get("has_retry_policy")?,
                row.try_get("claim_attempts")?,
                row.try_get("max_attempts")?,
            );
            let state = match next {
                AfterFailure::Requeue => {
                    let statement = tx.prepare_cached(statements::REQUEUE).await?;
                    tx.execute(&statement, &[&claim.id.0, &error]).await?;
                    State::Open
                }
                AfterFailure::Bury => {
                    let statement = tx.prepare_cached(statements::BURY).await?;
                    tx.query(&statement, &[&&[claim.id.0][..], &Some(error)]).await?;
                    State::Dead
                }
            };
            decided.set(Some(state));
            Ok(state)
        })
        .await
    }

    /// Moves the end of a live lease by so many seconds.
    ///
    /// # Errors
    /// `not_found` when the lease is over or the claim is not held.
    pub async fn extend(&self, admission: &Admission, claim: HeldClaim, seconds: f64) -> Result<()> {
        self.transact(admission, async |tx| {
            let statement = tx.prepare_cached(statements::EXTEND).await?;
            let row = tx.query_opt(&statement, &[&claim.id.0, &claim.tenant, &claim.token, &seconds]).await?;
            row.map(drop).ok_or_else(claim_over)
        })
        .await
    }
}

pub(super) fn claim_over() -> Error {
    Error::not_found("No such claim: it is finished, its lease was lost, or the token is another claim's.")
}
