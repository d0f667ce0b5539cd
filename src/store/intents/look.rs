//! Looking at intents without changing them.

use tokio_postgres::Row;

use crate::{
    domain::{
        ids::IntentId,
        intent::{Seen, State},
    },
    error::Result,
    store::{
        Store,
        admission::Admission,
        session::{Client, Traced},
        statements,
    },
};

impl Store {
    /// One intent.
    ///
    /// # Errors
    /// What admission refuses.
    pub async fn find_for(&self, admission: &Admission, id: IntentId) -> Result<Option<Seen>> {
        self.transact(admission, async |tx| self.find_on(&**tx, id).await).await
    }

    pub(in crate::store) async fn find_on(&self, client: &Traced<impl Client>, id: IntentId) -> Result<Option<Seen>> {
        let statement = client.prepare_cached(statements::FIND).await?;
        let row = client.query_opt(&statement, &[&id.0, &self.intent_ttl]).await?;
        row.map(|row| read(&row)).transpose()
    }

    /// The payload of an intent, as it came in; none if it is past its retention.
    ///
    /// # Errors
    /// `database_busy`.
    pub async fn payload(&self, seen: &Seen) -> Result<Option<Vec<u8>>> {
        let client = self.client().await?;
        let statement = client.prepare_cached(statements::FIND_PAYLOAD).await?;
        let row = client.query_opt(&statement, &[&seen.id.0, &seen.payload_day]).await?;
        Ok(row.map(|row| row.try_get("payload")).transpose()?)
    }
}

fn read(row: &Row) -> Result<Seen> {
    let result: Option<Vec<u8>> = row.try_get("result")?;
    let result_type: Option<String> = row.try_get("result_type")?;
    Ok(Seen {
        id: IntentId(row.try_get("id")?),
        tenant: row.try_get("tenant_id")?,
        claimed_by: row.try_get("claimed_by")?,
        namespace: row.try_get("namespace")?,
        goal: row.try_get("goal")?,
        priority: row.try_get("priority")?,
        public: row.try_get("public")?,
        claim_attempts: row.try_get("claim_attempts")?,
        max_attempts: row.try_get("max_attempts")?,
        target_worker: row.try_get("target_worker")?,
        required_capability: row.try_get("required_capability")?,
        worker_id: row.try_get("worker_id")?,
        state: State::parse(row.try_get("state")?)?,
        created_at: row.try_get("created_at")?,
        run_at: row.try_get("run_at")?,
        claim_expires_at: row.try_get("claim_expires_at")?,
        completed_at: row.try_get("completed_at")?,
        last_error: row.try_get("last_error")?,
        result: result.zip(result_type),
        payload_day: row.try_get("payload_day")?,
    })
}
