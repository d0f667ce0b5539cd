//! The audit log: who did what, when, and by which request. No line holds a key, a token or a payload.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use crate::{
    error::Result,
    store::{Store, Tx, statements, transaction::in_time},
};

/// How an operator came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// By `X-Admin-Token`.
    AdminToken,
    /// By the dashboard's password.
    Dashboard,
    /// By the root key.
    RootKey,
}

impl Actor {
    /// As it stands in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AdminToken => "admin_token",
            Self::Dashboard => "dashboard",
            Self::RootKey => "root_key",
        }
    }
}

/// Who does something, and by which request.
#[derive(Debug, Clone)]
pub struct By {
    /// How they came in.
    pub actor: Actor,
    /// Finds the request in the log. The client may have chosen it, and may choose it twice.
    pub request_id: String,
    /// Numbers of the lines that were written for this request, by tries whose COMMIT was lost as well.
    written: Arc<Mutex<Vec<i64>>>,
}

impl By {
    /// Somebody who has done nothing yet.
    #[must_use]
    pub fn new(actor: Actor, request_id: String) -> Self {
        Self { actor, request_id, written: Arc::default() }
    }
}

/// A line of the audit log.
#[derive(Debug)]
pub struct Line {
    /// Its number; later lines have higher ones.
    pub id: i64,
    /// Unix seconds.
    pub at: f64,
    /// As [`Actor::as_str`].
    pub actor: String,
    /// What was done, in words of the API: `cancel`, `retry`, `redrive`, `purge`, `pause`, `resume`, `generate_key`,
    /// `rotate_key`, `revoke_key`, `set_scopes`, `set_limits`.
    pub action: String,
    /// What it was done to: an intent's id, a key's or tenant's number, a namespace with or without a goal.
    pub target: Option<String>,
    /// More about it, a JSON object as text.
    pub details: Option<String>,
    /// The request that did it.
    pub request_id: String,
}

impl Store {
    /// A page of the audit log, newest first: lines before this number, at most so many.
    ///
    /// # Errors
    /// `database_busy`.
    pub async fn audit_log(&self, before: Option<i64>, limit: i64) -> Result<Vec<Line>> {
        let rows = in_time(async {
            let client = self.client().await?;
            let statement = client.prepare_cached(statements::AUDIT_LOG).await?;
            Ok(client.query(&statement, &[&before, &limit]).await?)
        })
        .await?;
        rows.iter()
            .map(|row| {
                Ok(Line {
                    id: row.try_get("id")?,
                    at: row.try_get("at")?,
                    actor: row.try_get("actor")?,
                    action: row.try_get("action")?,
                    target: row.try_get("target")?,
                    details: row.try_get("details")?,
                    request_id: row.try_get("request_id")?,
                })
            })
            .collect()
    }
}

/// Writes a line in the transaction of what it tells of. `details` is a JSON object and holds nothing secret.
pub(in crate::store) async fn write(
    tx: &Tx<'_>,
    by: &By,
    action: &str,
    target: Option<&str>,
    details: Value,
) -> Result<()> {
    let statement = tx.prepare_cached(statements::AUDIT).await?;
    let (actor, details) = (by.actor.as_str(), details.to_string());
    let written = || by.written.lock().unwrap_or_else(PoisonError::into_inner);
    let before = if tx.maybe_done() { written().clone() } else { Vec::new() };
    let row = tx.query_opt(&statement, &[&actor, &action, &target, &details, &by.request_id, &before]).await?;
    if let Some(row) = row {
        written().push(row.try_get("id")?);
    }
    Ok(())
}
