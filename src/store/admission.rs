//! Letting a request in: its nonce and its tenant's rate limit, in the transaction of what it does.

use uuid::Uuid;

use super::{Tx, statements};
use crate::error::{Error, ErrorCode, Result};

/// What has to be checked and stored for a request before it may do anything.
#[derive(Debug, Clone, Default)]
pub struct Admission {
    /// The tenant whose rate is counted.
    pub tenant: i64,
    /// Requests allowed in a minute. None: any number.
    pub rate_limit: Option<i32>,
    /// Of a signed request.
    pub signed: Option<Signed>,
}

/// The parts of a verified signature that can be used once.
#[derive(Debug, Clone, Copy)]
pub struct Signed {
    /// Hash of tenant and nonce.
    pub nonce: Uuid,
    /// Unix seconds by the client's clock.
    pub timestamp: i64,
}

/// Why a request is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Its timestamp is too far from the database's clock.
    Stale,
    /// Its nonce was used before.
    Replayed,
    /// Its tenant has used up this minute.
    RateLimited {
        /// Seconds until a request may pass.
        retry_after: u32,
    },
}

impl Admission {
    /// Whether there is nothing to check.
    #[must_use]
    pub fn is_free(&self) -> bool {
        self.signed.is_none() && self.rate_limit.is_none()
    }

    /// Checks and stores. On a refusal the caller rolls back.
    pub(super) async fn admit(&self, tx: &Tx<'_>) -> Result<Option<Refusal>> {
        if self.is_free() {
            return Ok(None);
        }
        let statement = tx.prepare_cached(statements::ADMIT).await?;
        let nonce = self.signed.map(|signed| signed.nonce);
        let timestamp = self.signed.map(|signed| signed.timestamp);
        let row = tx.query_one(&statement, &[&self.tenant, &nonce, &timestamp, &self.rate_limit]).await?;
        if row.try_get("stale")? {
            Ok(Some(Refusal::Stale))
        } else if row.try_get("replayed")? {
            Ok(Some(Refusal::Replayed))
        } else if row.try_get("limited")? {
            self.retry_after(tx).await.map(|retry_after| Some(Refusal::RateLimited { retry_after }))
        } else {
            Ok(None)
        }
    }

    async fn retry_after(&self, tx: &Tx<'_>) -> Result<u32> {
        let statement = tx.prepare_cached(statements::RATE_RETRY_AFTER).await?;
        let row = tx.query_one(&statement, &[&self.tenant]).await?;
        let seconds: Option<i64> = row.try_get("seconds")?;
        Ok(seconds.and_then(|seconds| u32::try_from(seconds).ok()).unwrap_or(1))
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Stale => {
                Self::bad_signature("Stale timestamp. X-Timestamp must be within 300 s of the bus's clock.")
            }
            Refusal::Replayed => Self::bad_signature("Replay detected. Use a new X-Nonce for each request."),
            Refusal::RateLimited { retry_after } => Self::new(
                ErrorCode::RateLimited,
                "Too many requests in this minute. Wait for as long as Retry-After says.",
            )
            .retry_after(retry_after),
        }
    }
}
