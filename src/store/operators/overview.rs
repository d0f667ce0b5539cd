//! Everything at a glance: depth, flow, latencies, replicas, workers. Read at most once a second by a replica, however many
//! look at it.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::Mutex;
use tokio_postgres::Row;

use super::{pauses::Pause, workers::Worker};
use crate::{
    error::{Error, Result},
    store::{Store, bus::GoalDepth, session::Session, statements, totals::Total, transaction::in_time},
    telemetry::flow::FLOW_BUCKETS,
};

/// How long what was read is good enough.
const FRESH: Duration = Duration::from_secs(1);
/// The same for the flow: a step is written every ten seconds.
const FLOW_FRESH: Duration = Duration::from_secs(5);
/// The same for latencies, whose buckets are many.
const LATENCIES_FRESH: Duration = Duration::from_secs(10);
/// Seconds after which a replica has written down what it did in a step.
const WRITTEN_LATE: f64 = 60.0;
/// Workers in the overview.
const WORKERS_SHOWN: i64 = 100;
/// Seconds for which a worker counts as seen lately.
const SEEN_LATELY: f64 = 300.0;
/// Goals whose latencies are shown.
const GOALS_SHOWN: usize = 50;

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
    /// Replicas that gave a sign of life in the last hour: those that are alive first, and of each kind those that started last.
    pub replicas: Vec<Replica>,
    /// Workers that asked for work in the last 5 minutes; at most 100, those that were seen last first.
    pub workers: Vec<Worker>,
    /// How many there are, counted up to 10,000.
    pub workers_seen: i64,
    /// What is paused.
    pub pauses: Vec<Pause>,
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
    /// Of the last 5 minutes, by goal, those with the most first.
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

/// What this replica has read last.
#[derive(Default)]
pub(in crate::store) struct Cache(Mutex<Known>);

#[derive(Default)]
struct Known {
    overview: Option<(Instant, Arc<Overview>)>,
    /// When the last reading failed, if it did.
    failed: Option<Instant>,
    flow: Option<(Instant, Arc<Flow>)>,
    steps: Steps,
}

/// The flow as it was read: steps that are over do not change, so that only the last ones are read again.
#[derive(Default)]
struct Steps {
    /// Sums by the number of the step.
    sums: BTreeMap<i64, Vec<i64>>,
    /// By the database's clock, unix seconds.
    read_at: Option<f64>,
    latencies: Option<(Instant, Vec<GoalLatency>)>,
}

impl Store {
    /// Everything at a glance, at most a second old.
    ///
    /// # Errors
    /// `database_busy`.
    pub async fn overview(&self) -> Result<Arc<Overview>> {
        // Whoever comes meanwhile waits here and gets the same: a reading, or that there is none.
        let mut known = in_time(async { Ok(self.overview.0.lock().await) }).await?;
        if known.failed.is_some_and(|failed| failed.elapsed() < FRESH) {
            return Err(Error::busy("the overview could not be read a moment ago"));
        }
        if let Some((read, overview)) = &known.overview
            && read.elapsed() < FRESH
        {
            return Ok(Arc::clone(overview));
        }
        let read = in_time(self.read_overview(&mut known)).await;
        known.failed = read.is_err().then(Instant::now);
        if let Ok(overview) = &read {
            known.overview = Some((Instant::now(), Arc::clone(overview)));
        }
        read
    }

    async fn read_overview(&self, known: &mut Known) -> Result<Arc<Overview>> {
        let client = self.client().await?;
        let now: f64 = client.query_one(&client.prepare_cached(statements::NOW).await?, &[]).await?.try_get("now")?;
        let flow = match known.flow.take() {
            Some((read, flow)) if read.elapsed() < FLOW_FRESH => (read, flow),
            _ => (Instant::now(), known.steps.read(&client, now).await?),
        };
        known.flow = Some(flow.clone());
        let replicas = read_replicas(&client).await?;
        let seen = client.query_one(&client.prepare_cached(statements::WORKERS_SEEN).await?, &[]).await?;
        drop(client);
        let mut workers = self.workers(None, WORKERS_SHOWN).await?.workers;
        workers.retain(|worker| worker.seen_at > now - SEEN_LATELY);
        Ok(Arc::new(Overview {
            at: now,
            totals: self.totals(false).await?,
            goals: self.goal_depths().await?,
            flow: flow.1,
            replicas,
            workers,
            workers_seen: seen.try_get("seen")?,
            pauses: self.pauses().await?,
        }))
    }
}

async fn read_replicas(client: &Session) -> Result<Vec<Replica>> {
    let statement = client.prepare_cached(statements::REPLICAS).await?;
    let rows = client.query(&statement, &[]).await?;
    rows.iter()
        .map(|row| {
            Ok(Replica {
                id: row.try_get("id")?,
                host: row.try_get("host")?,
                version: row.try_get("version")?,
                started_at: row.try_get("started_at")?,
                seen_at: row.try_get("seen_at")?,
                alive: row.try_get("alive")?,
            })
        })
        .collect()
}

impl Steps {
    /// Reads what is new. `now`: unix seconds by the database's clock.
    async fn read(&mut self, client: &Session, now: f64) -> Result<Arc<Flow>> {
        #[allow(clippy::cast_precision_loss, reason = "small numbers")]
        let (step, count) = (STEP as f64, STEPS as f64);
        // The step that runs is the last one.
        let from = ((now / step).floor() - (count - 1.0)) * step;
        let since = self.read_at.map_or(from, |read_at| from.max(read_at - WRITTEN_LATE));
        let statement = client.prepare_cached(statements::FLOW).await?;
        for row in client.query(&statement, &[&since]).await? {
            let columns = ["published", "claimed", "fulfilled", "failed", "dead"];
            let sums: Vec<i64> = columns.iter().map(|name| row.try_get(name)).collect::<std::result::Result<_, _>>()?;
            self.sums.insert(number((row.try_get::<_, f64>("at")? / step).floor()), sums);
        }
        let first = number(from / step);
        self.sums = self.sums.split_off(&first);
        if self.latencies.as_ref().is_none_or(|(read, _)| read.elapsed() >= LATENCIES_FRESH) {
            let statement = client.prepare_cached(statements::LATENCIES).await?;
            let latencies = read_latencies(&client.query(&statement, &[]).await?)?;
            self.latencies = Some((Instant::now(), latencies));
        }
        self.read_at = Some(now);
        let column = |name: usize| {
            let steps = (first..).take(STEPS);
            steps.map(|at| self.sums.get(&at).and_then(|sums| sums.get(name)).copied().unwrap_or(0)).collect()
        };
        Ok(Arc::new(Flow {
            from,
            published: column(0),
            claimed: column(1),
            fulfilled: column(2),
            failed: column(3),
            dead: column(4),
            latencies: self.latencies.as_ref().map(|(_, latencies)| latencies.clone()).unwrap_or_default(),
        }))
    }
}

/// The number of a step since 1970.
#[allow(clippy::cast_possible_truncation, reason = "whole and small")]
fn number(steps: f64) -> i64 {
    steps as i64
}

/// From rows in the order of namespace and goal, one for each bucket.
fn read_latencies(rows: &[Row]) -> Result<Vec<GoalLatency>> {
    let name = |row: &Row| Ok::<_, Error>((row.try_get::<_, String>("namespace")?, row.try_get::<_, String>("goal")?));
    let mut goals: BTreeMap<(String, String), [Vec<i64>; 3]> = BTreeMap::new();
    for row in rows {
        let counts = goals.entry(name(row)?).or_default();
        for (counts, column) in counts.iter_mut().zip(["waited", "worked", "took"]) {
            counts.push(row.try_get::<_, Option<i64>>(column)?.unwrap_or(0));
        }
    }
    let mut latencies: Vec<GoalLatency> = goals
        .into_iter()
        .map(|((namespace, goal), counts)| {
            let [waited, worked, took] = counts.map(|counts| Percentiles::of(&counts));
            GoalLatency { namespace, goal, waited, worked, took }
        })
        .collect();
    latencies.sort_by_key(|goal| Reverse(goal.waited.count.max(goal.took.count)));
    latencies.truncate(GOALS_SHOWN);
    Ok(latencies)
}

impl Percentiles {
    /// From counts by bucket, as [`FLOW_BUCKETS`] bounds them; the last one is for what is above.
    fn of(counts: &[i64]) -> Self {
        let count = counts.iter().sum();
        let at = |share: f64| (count > 0).then(|| percentile(counts, count, share));
        Self { count, p50: at(0.5), p90: at(0.9), p99: at(0.99) }
    }
}

/// The value that such a share stays below: linear within its bucket. What is above all bounds counts as the highest.
fn percentile(counts: &[i64], count: i64, share: f64) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "an estimate anyway")]
    let (mut left, counts) = (share * count as f64, counts.iter().map(|count| *count as f64));
    let mut lower = 0.0;
    for (count, upper) in counts.zip(FLOW_BUCKETS) {
        if left <= count && count > 0.0 {
            return lower + (upper - lower) * left / count;
        }
        left -= count;
        lower = upper;
    }
    lower
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_found_within_their_bucket() {
        let mut counts = vec![0; FLOW_BUCKETS.len() + 1];
        assert_eq!(Percentiles::of(&counts), Percentiles::default());
        // 50 up to 10 ms, 50 up to 25 ms.
        (counts[3], counts[4]) = (50, 50);
        let found = Percentiles::of(&counts);
        assert_eq!((found.count, found.p50), (100, Some(0.01)));
        assert!(found.p90.is_some_and(|p90| (p90 - 0.022).abs() < 1e-9), "{found:?}");
    }

    #[test]
    fn what_is_above_all_bounds_counts_as_the_highest() {
        let mut counts = vec![0; FLOW_BUCKETS.len() + 1];
        *counts.last_mut().unwrap_or(&mut 0) = 3;
        assert_eq!(Percentiles::of(&counts).p50, Some(300.0));
    }
}
