//! Vacuuming the table that every job leaves two dead rows in. Autovacuum comes once a minute, when there are millions of them.

use std::sync::atomic::Ordering::Relaxed;

use super::{Store, statements};
use crate::error::Result;

/// It leaves the file's length alone, which would take a lock that every statement waits for; does nothing where somebody else
/// vacuums; and takes one processor, as autovacuum does.
const VACUUM: &str = "VACUUM (TRUNCATE false, SKIP_LOCKED, PARALLEL 0) intents";

/// What a pass of vacuum has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vacuumed {
    /// Dead rows before.
    pub dead: u64,
    /// And after it.
    pub left: u64,
}

impl Store {
    /// Notes that claims or fulfilments have left so many dead rows in `intents`. Nothing else leaves many.
    pub(super) fn leave_dead(&self, rows: usize) {
        self.left_dead.fetch_add(rows, Relaxed);
    }

    /// Vacuums `intents` when it has so many dead rows or more. None: it has fewer, or this replica has left less than a quarter
    /// of that since it last asked, and does not ask.
    ///
    /// # Errors
    /// `database_busy`, also when it takes longer than a statement may; autovacuum has no such limit.
    pub async fn vacuum(&self, at_least: u64) -> Result<Option<Vacuumed>> {
        if (self.left_dead.load(Relaxed) as u64) < at_least / 4 {
            return Ok(None);
        }
        self.left_dead.store(0, Relaxed);
        let dead = self.dead_rows().await?;
        if dead < at_least {
            return Ok(None);
        }
        self.client().await?.batch_execute(VACUUM).await?;
        Ok(Some(Vacuumed { dead, left: self.dead_rows().await? }))
    }

    async fn dead_rows(&self) -> Result<u64> {
        let client = self.client().await?;
        let statement = client.prepare_cached(statements::DEAD_ROWS).await?;
        let dead: i64 = client.query_one(&statement, &[]).await?.try_get("dead")?;
        Ok(dead.unsigned_abs())
    }
}
