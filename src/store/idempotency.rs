//! Idempotency keys: the first request that uses one decides what it means; a repeat gets the first answer again.

use uuid::Uuid;

use super::{
    Tx,
    session::{Client, Traced},
    statements,
};
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
    /// The same request was done before.
    Before,
}

impl Idempotency {
    /// Takes the key for a request whose answer names nothing, or tells that it was taken. Waits for a request with the same
    /// key that is under way at this moment. (Publishing takes keys in its own statement.)
    pub(super) async fn reserve(&self, tx: &Tx<'_>) -> Result<Reserved> {
        let statement = tx.prepare_cached(statements::IDEMPOTENCY_RESERVE).await?;
        let row = tx.query_one(&statement, &[&self.key, &self.request]).await?;
        if row.try_get("taken")? {
            return Ok(Reserved::First);
        }
        if row.try_get("stored")? {
            return Err(Error::busy("an idempotency key was taken at the very end of its period"));
        }
        self.find(&**tx).await?.map(|_| Reserved::Before)
    }

    /// What the key was used for: what the first answer named, or the clash. The key has to be used.
    pub(super) async fn find(&self, client: &Traced<impl Client>) -> Result<Result<Option<Uuid>>> {
        let statement = client.prepare_cached(statements::IDEMPOTENCY_FIND).await?;
        let row = client
            .query_opt(&statement, &[&self.key])
            .await?
            .ok_or_else(|| Error::busy("an idempotency key was neither free nor taken"))?;
        Ok(self.first_answer(row.try_get("request_hash")?, row.try_get("intent_id")?))
    }

    /// What the first answer named, if this is the same request.
    pub(super) fn first_answer(&self, stands_for: Uuid, named: Option<Uuid>) -> Result<Option<Uuid>> {
        if stands_for != self.request {
            return Err(Error::new(
                self.clash,
                "This Idempotency-Key was used for another request. Use a new key for each distinct request.",
            ));
        }
        Ok(named)
    }
}
