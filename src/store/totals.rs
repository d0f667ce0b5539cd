//! Counts of intents by namespace and state, kept by one replica at a time on a timer, read by pages and metrics.

use tokio_postgres::error::SqlState;

use super::{Store, WHOLE_TABLE, session::Transaction, statements};
use crate::{domain::intent::State, error::Result};

/// What a transaction sets before it reads what has finished of late. Only a bitmap scan can read the block ranges that lead there;
/// the sessions of the pool have none, and would walk the whole primary key of today's partition. So would a plan that was made while
/// the partition was small: it has to be made anew each time.
pub const BY_TIME: &str = "SET LOCAL enable_bitmapscan = on; SET LOCAL enable_indexscan = off; \
     SET LOCAL plan_cache_mode = force_custom_plan";

/// How many intents of a namespace are in a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Total {
    /// The namespace.
    pub namespace: String,
    /// The state.
    pub state: State,
    /// How many.
    pub count: i64,
}

impl Store {
    /// Brings the totals up to date, if no other replica is at it.
    ///
    /// # Errors
    /// `database_busy`.
    pub async fn count_totals(&self) -> Result<()> {
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        summarize(&tx).await?;
        tx.batch_execute(BY_TIME).await?;
        // Not prepared: the plan of a statement without parameters would be kept, whatever is set.
        tx.batch_execute(statements::ADD_FINISHED).await?;
        tx.commit().await?;
        let tx = client.transaction().await?;
        tx.batch_execute(WHOLE_TABLE).await?;
        let statement = tx.prepare_cached(statements::COUNT_OPEN).await?;
        tx.query(&statement, &[&self.intent_ttl]).await?;
        Ok(tx.commit().await?)
    }

    /// The totals as last counted; with what has finished since, if `up_to_now`, for which rows are counted.
    ///
    /// # Errors
    /// `database_busy`.
    pub async fn totals(&self, up_to_now: bool) -> Result<Vec<Total>> {
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        tx.batch_execute(BY_TIME).await?;
        let statement = tx.prepare_cached(statements::READ_TOTALS).await?;
        let rows = tx.query(&statement, &[&up_to_now]).await?;
        tx.commit().await?;
        rows.iter()
            .map(|row| {
                Ok(Total {
                    namespace: row.try_get("namespace")?,
                    state: State::parse(row.try_get("state")?)?,
                    count: row.try_get("count")?,
                })
            })
            .collect()
    }
}

/// Summarizes the block ranges that were filled since the last time: what is not summarized is read whole by whoever looks for a time.
/// Where that fails, counting takes longer and is right all the same.
async fn summarize(tx: &Transaction<'_>) -> Result<()> {
    // Shorter than deadlock_timeout (1 s), after which Postgres would cancel an autovacuum for us.
    tx.batch_execute("SAVEPOINT summary; SET LOCAL lock_timeout = '100ms'").await?;
    match tx.batch_execute(statements::BLOCK_RANGES).await {
        Ok(()) => {}
        // Autovacuum or another replica is at it.
        Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {}
        Err(error) => tracing::warn!(?error, "what has finished could not be summarized"),
    }
    // Ends its lock and the timeout, and takes back nothing: an index knows no transactions.
    Ok(tx.batch_execute("ROLLBACK TO summary").await?)
}
