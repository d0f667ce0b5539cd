//! Workers that have asked for work of late.

use crate::{
    error::{Error, Result},
    store::Store,
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
    /// What it asked for last. None: anything.
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
        let mut part = || parts.next();
        let read = || {
            let (seen_at, tenant) = (part()?.parse().ok()?, part()?.parse().ok()?);
            Some(Self { seen_at, tenant, namespace: part()?.to_owned(), worker_id: part()?.to_owned() })
        };
        let mut read = read;
        read().ok_or_else(|| Error::invalid("before is not what a page of workers gave as next. Leave it out to begin anew."))
    }
}

impl Store {
    /// A page of at most so many workers.
    ///
    /// # Errors
    /// `database_busy`.
    pub async fn workers(&self, before: Option<&WorkerCursor>, limit: i64) -> Result<WorkerPage> {
        let _ = (before, limit);
        Err(Error::fault("not there yet"))
    }
}
