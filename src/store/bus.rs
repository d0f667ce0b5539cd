//! What metrics tell of the whole bus, read in a few small statements on a timer. The overview shows the depth of goals, too.

use super::{Store, statements};
use crate::error::Result;

/// Unfinished intents of a goal, as last counted.
#[derive(Debug, Clone, PartialEq)]
pub struct GoalDepth {
    /// The namespace; empty: all others.
    pub namespace: String,
    /// The goal; empty: all others.
    pub goal: String,
    /// Due and held by nobody.
    pub claimable: i64,
    /// Not due yet.
    pub waiting: i64,
    /// Held by a lease.
    pub claimed: i64,
    /// Held by a lease that has ended, and not claimable yet.
    pub past_lease: i64,
    /// Seconds for which the oldest claimable one could have been claimed. None: none is.
    pub oldest_age: Option<f64>,
}

/// Figures of the bus.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    /// The database's clock, in unix seconds.
    pub now: f64,
    /// When unfinished intents were last counted, in unix seconds.
    pub counted_at: Option<f64>,
    /// Keys that tenants may use, if they were to be counted.
    pub keys: Option<i64>,
    /// Replicas that gave a sign of life in the last 30 s.
    pub replicas: i64,
    /// Workers that asked for work in the last 5 minutes.
    pub workers: i64,
    /// Age in seconds of the oldest transaction that keeps dead rows from being removed.
    pub oldest_snapshot: f64,
}

/// A table or a partition of one, by Postgres's own statistics.
#[derive(Debug, Clone)]
pub struct TableSize {
    /// The table.
    pub name: String,
    /// Its partition, if it has some.
    pub partition: Option<String>,
    /// Rows, by estimate.
    pub live: i64,
    /// Dead rows, by estimate.
    pub dead: i64,
    /// With indexes.
    pub bytes: i64,
}

impl Store {
    /// Unfinished intents by goal, as last counted, those with the most first.
    ///
    /// # Errors
    /// `database_busy`.
    pub async fn goal_depths(&self) -> Result<Vec<GoalDepth>> {
        let client = self.client().await?;
        let statement = client.prepare_cached(statements::BUS_GOALS).await?;
        let rows = client.query(&statement, &[]).await?;
        rows.iter()
            .map(|row| {
                Ok(GoalDepth {
                    namespace: row.try_get("namespace")?,
                    goal: row.try_get("goal")?,
                    claimable: row.try_get("claimable")?,
                    waiting: row.try_get("waiting")?,
                    claimed: row.try_get("claimed")?,
                    past_lease: row.try_get("past_lease")?,
                    oldest_age: row.try_get("oldest_age")?,
                })
            })
            .collect()
    }

    /// Figures of the bus, with a count of all keys or without.
    ///
    /// # Errors
    /// `database_busy`.
    pub async fn figures(&self, count_keys: bool) -> Result<Figures> {
        let client = self.client().await?;
        let statement = client.prepare_cached(statements::BUS_FIGURES).await?;
        let row = client.query_one(&statement, &[&count_keys]).await?;
        Ok(Figures {
            now: row.try_get("now")?,
            counted_at: row.try_get("counted_at")?,
            keys: row.try_get("keys")?,
            replicas: row.try_get("replicas")?,
            workers: row.try_get("workers")?,
            oldest_snapshot: row.try_get("oldest_snapshot")?,
        })
    }

    /// Our tables and their partitions, the largest first.
    ///
    /// # Errors
    /// `database_busy`.
    pub async fn table_sizes(&self) -> Result<Vec<TableSize>> {
        let client = self.client().await?;
        let statement = client.prepare_cached(statements::BUS_TABLES).await?;
        let rows = client.query(&statement, &[]).await?;
        rows.iter()
            .map(|row| {
                Ok(TableSize {
                    name: row.try_get("name")?,
                    partition: row.try_get("partition")?,
                    live: row.try_get("live")?,
                    dead: row.try_get("dead")?,
                    bytes: row.try_get("bytes")?,
                })
            })
            .collect()
    }
}
