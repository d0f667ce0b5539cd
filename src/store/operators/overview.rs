//! Everything at a glance: depth, flow, latencies, replicas, workers. Read at most once a second by a replica, however many
//! look at it.

use std::sync::Arc;

use super::{pauses::Pause, workers::Worker};
use crate::{
    error::{Error, Result},
    store::{Store, totals::Total},
};

/// Seconds of one step of the flow.
pub const STEP: i64 = 10;
/// Steps of the flow: the last hour.
pub const STEPS: usize = 360;

/// Everything at a glance. Times are unix seconds by the database's clock.
#[derive(Debug)]
pub struct Overview {
    /// When this was read.
    pub at: f64,
    /// Intents by namespace and state, as last counted (some seconds ago).
    pub totals: Vec<Total>,
    /// Unfinished intents by goal, those with the most first.
    pub goals: Vec<GoalDepth>,
    /// What was done in the last hour.
    pub flow: Arc<Flow>,
    /// Replicas that gave a sign of life in the last hour, those that were seen last first.
    pub replicas: Vec<Replica>,
    /// Workers that asked for work in the last 5 minutes; at most 100, those that were seen last first.
    pub workers: Vec<Worker>,
    /// How many there are, counted up to 10,000.
    pub workers_seen: i64,
    /// What is paused.
    pub pauses: Vec<Pause>,
}

/// Unfinished intents of a goal. Namespace and goal are empty for all others.
#[derive(Debug, Clone)]
pub struct GoalDepth {
    /// The namespace.
    pub namespace: String,
    /// The goal.
    pub goal: String,
    /// Due and held by nobody.
    pub claimable: i64,
    /// Not due yet.
    pub waiting: i64,
    /// Held by a lease.
    pub claimed: i64,
    /// Held by a lease that has ended, and not claimable yet.
    pub past_lease: i64,
    /// Seconds for which the oldest claimable one could have been claimed.
    pub oldest_age: Option<f64>,
}

/// What all replicas did in the last hour, in [`STEPS`] steps of [`STEP`] seconds, the oldest first.
#[derive(Debug, Clone, Default)]
pub struct Flow {
    /// When the first step begins.
    pub from: f64,
    /// Intents published, by step.
    pub published: Vec<i64>,
    /// Claims made.
    pub claimed: Vec<i64>,
    /// Intents fulfilled.
    pub fulfilled: Vec<i64>,
    /// Attempts that ended badly.
    pub failed: Vec<i64>,
    /// Intents that died.
    pub dead: Vec<i64>,
    /// Of the last 10 minutes, by goal, those with the most first.
    pub latencies: Vec<GoalLatency>,
}

/// Latencies of a goal. Namespace and goal are empty for all others.
#[derive(Debug, Clone)]
pub struct GoalLatency {
    /// The namespace.
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

/// Percentiles of a latency in seconds, by linear interpolation within a bucket. None: nothing was measured.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Percentiles {
    /// How many were measured.
    pub count: i64,
    /// The median.
    pub p50: Option<f64>,
    /// What nine of ten stay below.
    pub p90: Option<f64>,
    /// What 99 of 100 stay below.
    pub p99: Option<f64>,
}

/// A replica.
#[derive(Debug, Clone)]
pub struct Replica {
    /// Its id.
    pub id: uuid::Uuid,
    /// Where it runs.
    pub host: String,
    /// Its version.
    pub version: String,
    /// Unix seconds.
    pub started_at: f64,
    /// Unix seconds.
    pub seen_at: f64,
    /// It gave a sign of life in the last 30 s.
    pub alive: bool,
}

impl Store {
    /// Everything at a glance, at most a second old.
    ///
    /// # Errors
    /// `database_busy`.
    pub async fn overview(&self) -> Result<Arc<Overview>> {
        Err(Error::fault("not there yet"))
    }
}
