//! Workers that have asked for work of late.

use std::time::{Duration, UNIX_EPOCH};

use super::search::{MICROS_DIGITS, micros, read_digits};
use crate::{
    error::{Error, Result},
    store::{Store, statements, transaction::in_time},
};

/// A worker, or all of a tenant that have no name.
#[derive(Debug, Clone)]
pub struct Worker {
    /// Whose it is.
    pub tenant: i64,
    /// Who that is.
    pub owner: String,
    /// Where it asks.
    pub namespace: String,
    /// Its name; empty for those that have none.
    pub worker_id: String,
    /// What it asked for last, and in the last 5 minutes. None: anything.
    pub goals: Option<Vec<String>>,
    /// What it can do.
    pub capabilities: Vec<String>,
    /// Unix seconds.
    pub first_seen_at: f64,
    /// Unix seconds.
    pub seen_at: f64,
    /// Intents that it has claimed since it was first seen.
    pub claims: i64,
}

/// Where a page ends and the next begins. Opaque to clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerCursor {
    /// Microseconds of unix time.
    seen_at: i64,
    tenant: i64,
    namespace: String,
    worker_id: String,
}

/// A page of workers.
#[derive(Debug, Default)]
pub struct WorkerPage {
    /// Those seen last come first.
    pub workers: Vec<Worker>,
    /// Where the next page begins. None: this was the last.
    pub next: Option<WorkerCursor>,
}

impl WorkerCursor {
    /// As clients get it and send it back.
    #[must_use]
    pub fn encode(&self) -> String {
        format!("{}~{}~{}~{}", self.seen_at, self.tenant, self.namespace, self.worker_id)
    }

    /// Reads it back.
    ///
    /// # Errors
    /// `invalid_request`.
    pub fn parse(text: &str) -> Result<Self> {
        let mut parts = text.splitn(4, '~');
        let mut read = || {
            let (seen_at, tenant) = (read_digits(parts.next()?, MICROS_DIGITS)?, read_digits(parts.next()?, 18)?);
            let (namespace, worker_id) = (parts.next()?.to_owned(), parts.next()?.to_owned());
            (!text.contains('\0')).then_some(Self { seen_at, tenant, namespace, worker_id })
        };
        read().ok_or_else(|| {
            Error::invalid("before is not what a page of workers gave as next. Leave it out to begin anew.")
        })
    }
}

impl Store {
    /// A page of at most so many workers.
    ///
    /// # Errors
    /// `database_busy`.
    pub async fn workers(&self, before: Option<&WorkerCursor>, limit: i64) -> Result<WorkerPage> {
        let at = before.map(|cursor| UNIX_EPOCH + Duration::from_micros(cursor.seen_at.unsigned_abs()));
        let (tenant, namespace, name) =
            before.map_or((0, "", ""), |cursor| (cursor.tenant, cursor.namespace.as_str(), cursor.worker_id.as_str()));
        let rows = in_time(async {
            let client = self.client().await?;
            let statement = client.prepare_cached(statements::WORKERS).await?;
            Ok(client.query(&statement, &[&at, &tenant, &namespace, &name, &(limit + 1)]).await?)
        })
        .await?;
        let mut page = WorkerPage::default();
        for row in rows.iter().take(usize::try_from(limit).map_err(Error::fault)?) {
            let worker = Worker {
                tenant: row.try_get("tenant_id")?,
                owner: row.try_get::<_, Option<String>>("owner")?.unwrap_or_default(),
                namespace: row.try_get("namespace")?,
                worker_id: row.try_get("worker_id")?,
                goals: row.try_get("goals")?,
                capabilities: row.try_get("capabilities")?,
                first_seen_at: row.try_get("first_seen_at")?,
                seen_at: row.try_get("seen_at")?,
                claims: row.try_get("claims")?,
            };
            page.next = Some(WorkerCursor {
                seen_at: micros(row.try_get("moment")?)?,
                tenant: worker.tenant,
                namespace: worker.namespace.clone(),
                worker_id: worker.worker_id.clone(),
            });
            page.workers.push(worker);
        }
        page.next = page.next.filter(|_| rows.len() > page.workers.len());
        Ok(page)
    }
}
