//! What maintenance does to intents: bury what has used up its attempts or its time, and keep payloads out of old partitions.

use tokio_postgres::Row;
use uuid::Uuid;

use crate::{
    domain::ids::IntentId,
    error::Result,
    store::{Store, statements},
    telemetry::{
        events::{Changed, changed},
        flow::Burial,
    },
};

pub(super) const EXPIRED: &str = "Expired: nobody claimed it in time.";

/// How far a sweep came and what it changed.
#[derive(Debug, Default, Clone, Copy)]
pub struct Swept {
    /// The last id looked at. None: the end was reached.
    pub last: Option<Uuid>,
    /// Intents buried because their time to live was over.
    pub expired: u64,
    /// Payloads moved out of an old partition.
    pub moved: u64,
}

impl Store {
    /// Buries claims that were the last allowed and whose lease has ended, at most `limit` of them.
    ///
    /// # Errors
    /// `database_busy`.
    pub async fn bury_lapsed(&self, limit: i64) -> Result<u64> {
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        let statement = tx.prepare_cached(statements::LOCK_LAPSED).await?;
        let ids: Vec<Uuid> = tx.query(&statement, &[&limit]).await?.iter().map(|row| row.get("id")).collect();
        let mut buried = Vec::new();
        if !ids.is_empty() {
            let statement = tx.prepare_cached(statements::BURY).await?;
            buried = tx.query(&statement, &[&ids, &vec![None::<&str>; ids.len()]]).await?;
        }
        tx.commit().await?;
        self.count_buried(&buried, Burial::Lapsed)?;
        Ok(ids.len() as u64)
    }

    /// Looks at `limit` unfinished intents after `after` and does what is due. Payloads older than `payload_days` are moved.
    ///
    /// # Errors
    /// `database_busy`.
    pub async fn sweep(&self, after: Uuid, limit: i64, payload_days: i32) -> Result<Swept> {
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        let statement = tx.prepare_cached(statements::SWEEP).await?;
        let row = tx.query_one(&statement, &[&after, &limit, &self.intent_ttl, &payload_days]).await?;
        let (expired, old): (Vec<Uuid>, Vec<Uuid>) = (row.try_get("expired")?, row.try_get("old_payloads")?);
        let mut swept = Swept { last: row.try_get("last_id")?, ..Swept::default() };
        let mut buried = Vec::new();
        if !expired.is_empty() {
            let statement = tx.prepare_cached(statements::LOCK_EXPIRED).await?;
            let rows = tx.query(&statement, &[&expired, &self.intent_ttl]).await?;
            let ids: Vec<Uuid> = rows.iter().map(|row| row.get("id")).collect();
            let statement = tx.prepare_cached(statements::BURY).await?;
            buried = tx.query(&statement, &[&ids, &vec![Some(EXPIRED); ids.len()]]).await?;
            swept.expired = buried.len() as u64;
        }
        if !old.is_empty() {
            let statement = tx.prepare_cached(statements::MOVE_PAYLOADS).await?;
            swept.moved = tx.query(&statement, &[&old, &payload_days]).await?.len() as u64;
        }
        tx.commit().await?;
        self.count_buried(&buried, Burial::Expired)?;
        Ok(swept)
    }

    /// Counts what was buried, once that is committed.
    pub(super) fn count_buried(&self, rows: &[Row], why: Burial) -> Result<()> {
        for row in rows {
            let (namespace, goal) = (row.try_get("namespace")?, row.try_get("goal")?);
            self.flow.buried(namespace, goal, why);
            let (attempt, worker) = (row.try_get("claim_attempts")?, row.try_get("worker_id")?);
            changed("buried", IntentId(row.try_get("id")?), Changed { namespace, goal, attempt, worker });
        }
        Ok(())
    }
}
