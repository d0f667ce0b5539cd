//! The audit log: who did what, when, and by which request. No line holds a key, a token or a payload.

use crate::{
    error::{Error, Result},
    store::Store,
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
    /// Finds the request in the log.
    pub request_id: String,
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
        let _ = (before, limit);
        Err(Error::fault("not there yet"))
    }
}
