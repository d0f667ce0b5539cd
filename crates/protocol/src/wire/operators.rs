//! Answers to the operator about many intents, workers, pauses, and about the bus as a whole.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// `GET /admin/intents`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FoundIntents {
    /// The newest first; with `state=dead` those that died last.
    pub intents: Vec<FoundIntent>,
    /// Send this as `before` for the next page; null: this was the last.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub next: Option<String>,
    /// Set when the page stopped because it had looked at 20,000 intents: everything after this moment (unix seconds) has been
    /// searched. Go on with `next`.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub searched_until: Option<f64>,
}

/// An intent in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FoundIntent {
    /// Its id.
    #[cfg_attr(feature = "openapi", schema(pattern = "^[0-9a-f]{32}$"))]
    pub id: String,
    /// The publisher's number; 0 is root.
    pub tenant: i64,
    /// Who the publisher is.
    pub owner: String,
    /// Its namespace.
    pub namespace: String,
    /// What kind of work it is.
    pub goal: String,
    /// `open`, `claimed`, `fulfilled` or `dead`.
    pub status: String,
    /// The higher is claimed first.
    pub priority: i32,
    /// `private` or `public`.
    pub visibility: String,
    /// Claims so far.
    pub claim_attempts: i32,
    /// Claims allowed.
    pub max_attempts: i32,
    /// The worker of the last claim, by its own word.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub worker_id: Option<String>,
    /// When it was published, in unix seconds.
    pub created_at: f64,
    /// From when it may be claimed.
    pub run_at: f64,
    /// The end of the running lease.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub claim_expires_at: Option<f64>,
    /// When it ended.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub completed_at: Option<f64>,
    /// The last failure, or why it is dead.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub last_error: Option<String>,
}

/// `POST /admin/dead/redrive`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Redriven {
    /// Always true.
    pub ok: bool,
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// How many were put back; in a dry run, how many would be.
    pub count: i64,
    /// In a dry run the first ten of them.
    pub sample: Vec<FoundIntent>,
    /// Whether there may be more: `limit` was reached, or 100,000 dead letters were looked at.
    pub more: bool,
    /// Send this as `since` to go on, if there may be more.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub searched_until: Option<f64>,
    /// When the last one becomes due, in unix seconds.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub last_due_at: Option<f64>,
}

/// `POST /admin/pause` and `POST /admin/resume`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PauseChanged {
    /// Always true.
    pub ok: bool,
    /// Whether it is paused now. A goal may still be held back by a pause of its whole namespace.
    pub paused: bool,
    /// Whether it was otherwise before.
    pub changed: bool,
}

/// `GET /admin/pauses`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Pauses {
    /// At most 1000.
    pub pauses: Vec<Pause>,
}

/// What is not handed out for now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Pause {
    /// In which namespace.
    pub namespace: String,
    /// Which goal; null: all of the namespace.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub goal: Option<String>,
    /// Since when, in unix seconds.
    pub paused_at: f64,
}

/// `GET /admin/audit`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditLog {
    /// The newest first.
    pub lines: Vec<AuditLine>,
    /// Send this as `before` for the next page; null: this was the last.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub next: Option<String>,
}

/// What an operator did.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditLine {
    /// Its number.
    pub id: i64,
    /// When, in unix seconds.
    pub at: f64,
    /// How the operator came in: `admin_token`, `dashboard`, `root_key`.
    pub actor: String,
    /// What was done: `cancel`, `retry`, `redrive`, `purge`, `pause`, `resume`, `generate_key`, `rotate_key`, `revoke_key`,
    /// `set_scopes`, `set_limits`.
    pub action: String,
    /// What it was done to: an intent's id, a key's or tenant's number, a namespace with or without a goal.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub target: Option<String>,
    /// More about it.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>, required = true))]
    pub details: Option<Box<RawValue>>,
    /// Finds the request in the log.
    pub request_id: String,
}

/// `GET /admin/workers`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Workers {
    /// Those that were seen last come first.
    pub workers: Vec<Worker>,
    /// Send this as `before` for the next page; null: this was the last.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub next: Option<String>,
}

/// A worker that has asked for work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Worker {
    /// Its tenant's number; 0 is root.
    pub tenant: i64,
    /// Who that is.
    pub owner: String,
    /// Where it asks.
    pub namespace: String,
    /// Its name; empty for all of a tenant that have none.
    pub worker_id: String,
    /// What it asked for last, and in the last 5 minutes; null: anything.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub goals: Option<Vec<String>>,
    /// What it can do.
    pub capabilities: Vec<String>,
    /// When it was first seen, in unix seconds.
    pub first_seen_at: f64,
    /// When it was last seen, in unix seconds.
    pub seen_at: f64,
    /// Intents that it has claimed since it was first seen.
    pub claims: i64,
}

/// `GET /admin/overview`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Overview {
    /// When this was read, in unix seconds.
    pub at: f64,
    /// Intents by state, as last counted (some seconds ago).
    pub totals: Totals,
    /// Unfinished intents by goal, those with the most first.
    pub goals: Vec<GoalDepth>,
    /// What was done in the last hour.
    pub flow: Flow,
    /// Latencies of the last 5 minutes by goal, those with the most first.
    pub latencies: Vec<GoalLatency>,
    /// Replicas that gave a sign of life in the last hour.
    pub replicas: Vec<Replica>,
    /// Workers that asked for work in the last 5 minutes, at most 100.
    pub workers: Vec<Worker>,
    /// How many there are, counted up to 10,000.
    pub workers_seen: i64,
    /// What is paused.
    pub pauses: Vec<Pause>,
}

/// Intents by state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Totals {
    /// Waiting to be claimed.
    pub open: i64,
    /// Held by a worker.
    pub claimed: i64,
    /// Done, and not past their retention.
    pub fulfilled: i64,
    /// Given up, and not past their retention.
    pub dead: i64,
}

/// Unfinished intents of a goal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GoalDepth {
    /// The namespace; empty, with the goal, for all others.
    pub namespace: String,
    /// The goal.
    pub goal: String,
    /// Due and held by nobody.
    pub claimable: i64,
    /// Not due yet: delayed, or backing off.
    pub waiting: i64,
    /// Held by a lease.
    pub claimed: i64,
    /// Held by a lease that has ended, and not claimable yet.
    pub past_lease: i64,
    /// Seconds for which the oldest claimable one could have been claimed.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub oldest_age: Option<f64>,
}

/// What all replicas did, by steps of time, the oldest first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Flow {
    /// When the first step begins, in unix seconds.
    pub from: f64,
    /// Seconds of a step.
    #[cfg_attr(feature = "openapi", schema(example = 10))]
    pub step: i64,
    /// Intents published, by step.
    pub published: Vec<i64>,
    /// Claims made.
    pub claimed: Vec<i64>,
    /// Intents fulfilled.
    pub fulfilled: Vec<i64>,
    /// Attempts that ended badly: reported as failed, or their lease ended.
    pub failed: Vec<i64>,
    /// Intents that died.
    pub dead: Vec<i64>,
}

/// Latencies of a goal, in seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GoalLatency {
    /// The namespace; empty, with the goal, for all others.
    pub namespace: String,
    /// The goal.
    pub goal: String,
    /// From the moment at which it could be claimed to the claim.
    pub waited: Percentiles,
    /// From the claim to the fulfilment.
    pub worked: Percentiles,
    /// From publication to fulfilment.
    pub took: Percentiles,
}

/// Percentiles in seconds, estimated from counts in buckets; null: nothing was measured. 300 stands for all above.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Percentiles {
    /// How many were measured.
    pub count: i64,
    /// The median.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub p50: Option<f64>,
    /// What nine of ten stay below.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub p90: Option<f64>,
    /// What 99 of 100 stay below.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub p99: Option<f64>,
}

/// A replica.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Replica {
    /// Its id, new at each start.
    pub id: String,
    /// Where it runs.
    pub host: String,
    /// Its version.
    pub version: String,
    /// When it started, in unix seconds.
    pub started_at: f64,
    /// Its last sign of life, in unix seconds.
    pub seen_at: f64,
    /// Whether that was in the last 30 s.
    pub alive: bool,
}
