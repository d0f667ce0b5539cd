//! Idempotency keys: the first request that uses one decides what it means; a repeat gets the first answer again.

use uuid::Uuid;

use super::{Tx, statements};
use crate::error::{Error, ErrorCode, Result};

/// An idempotency key with the request that it stands for.
#[derive(Debug, Clone, Copy)]
pub struct Idempotency {
    /// Hash of tenant, path and key.
    pub key: Uuid,
    /// Hash of the canonical body.
    pub request: Uuid,
    /// The code that a clash gets in this protocol generation.
    pub clash: ErrorCode,
}

/// Whether the request is the first with its key.
pub(super) enum Reserved {
    /// It is: do it.
    First,
    /// The same request was done before, and its answer named this.
    Before(Option<Uuid>),
}

impl Idempotency {
    /// Takes the key for this request, or tells what it was taken for. Waits for a request with the same key that is under
    /// way at this moment.
    pub(super) async fn reserve(&self, tx: &Tx<'_>, names: Option<Uuid>) -> Result<Reserved> {
        let statement = tx.prepare_cached(statements::IDEMPOTENCY_RESERVE).await?;
        let row = tx.query_one(&statement, &[&self.key, &self.request, &names]).await?;
        if row.try_get("taken")? {
            return Ok(Reserved::First);
        }
        if row.try_get("stored")? {
            return Err(Error::busy("an idempotency key was taken at the very end of its period"));
        }
        let statement = tx.prepare_cached(statements::IDEMPOTENCY_FIND).await?;
        let row = tx
            .query_opt(&statement, &[&self.key])
            .await?
            .ok_or_else(|| Error::busy("an idempotency key was neither free nor taken"))?;
        if row.try_get::<_, Uuid>("request_hash")? != self.request {
            return Err(Error::new(
                self.clash,
                "This Idempotency-Key was used for another request. Use a new key for each distinct request.",
            ));
        }
        Ok(Reserved::Before(row.try_get("intent_id")?))
    }
}
