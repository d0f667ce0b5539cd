//! The rings of nonces and idempotency keys: emptying the slot that is to be used next but one.

use tokio_postgres::error::SqlState;

use super::{Store, statements};
use crate::error::Result;

/// A ring of four slots by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ring {
    /// Ten minutes a slot.
    Nonces,
    /// A day a slot.
    IdempotencyKeys,
}

impl Ring {
    fn table(self) -> &'static str {
        match self {
            Self::Nonces => "nonces",
            Self::IdempotencyKeys => "idempotency_keys",
        }
    }

    /// Seconds.
    fn period(self) -> f64 {
        match self {
            Self::Nonces => 600.0,
            Self::IdempotencyKeys => 86_400.0,
        }
    }
}

impl Store {
    /// Empties the slot that comes into use in the next period but one, once in a period over all replicas. True: it was done.
    ///
    /// # Errors
    /// `database_busy`; the next pass tries again, and until then old entries are merely kept for longer.
    pub async fn empty_next_slot(&self, ring: Ring) -> Result<bool> {
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        let statement = tx.prepare_cached(statements::RING_CLAIM_SLOT).await?;
        let Some(row) = tx.query_opt(&statement, &[&ring.table(), &ring.period()]).await? else {
            return Ok(false);
        };
        let slot: i16 = row.try_get("slot")?;
        // Requests look only at other slots, but a plan may lock the whole ring for its moment. Waiting for them longer than
        // this would make requests wait behind us.
        let table = ring.table();
        let emptied = tx.batch_execute(&format!("SET LOCAL lock_timeout = '100ms'; TRUNCATE {table}_{slot}")).await;
        match emptied {
            Ok(()) => {
                tx.commit().await?;
                Ok(true)
            }
            Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
                tx.rollback().await?;
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }
}
