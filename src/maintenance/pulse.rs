//! Every ten seconds: a sign of life with what this replica has done and whom it has seen, a count of what is unfinished if it is due,
//! and a look at the whole bus for the metrics.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::time::{Interval, MissedTickBehavior, interval};
use uuid::Uuid;

use crate::{
    app::State,
    error::Result,
    http::meta::VERSION,
    store::{pulse::Replica, workers::Worker},
    telemetry::flow::Tally,
};

/// Time between two beats.
const EVERY: Duration = Duration::from_secs(10);
/// Workers that are kept for the next beat when one fails.
const KEPT: usize = 1000;

/// What was told so far.
struct Pulse {
    replica: Replica,
    /// By namespace and goal.
    told: HashMap<(String, String), Tally>,
    /// Seen, and not told yet.
    seen: Vec<Worker>,
}

/// Beats for as long as the process runs.
pub async fn run(state: &State) {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let replica = Replica { id: Uuid::new_v4(), host, version: VERSION };
    let mut pulse = Pulse { replica, told: HashMap::new(), seen: Vec::new() };
    let beats = async {
        let mut turn = every();
        loop {
            turn.tick().await;
            if state.is_prepared()
                && let Err(error) = pulse.beat(state).await
            {
                tracing::warn!(?error, "a sign of life could not be written; the next one tells the same");
            }
        }
    };
    // Apart: counting a large table must not let the replica seem dead.
    let looks = async {
        let mut turn = every();
        loop {
            turn.tick().await;
            if state.is_prepared()
                && let Err(error) = look(state).await
            {
                tracing::warn!(
                    ?error,
                    "the bus could not be looked at for the metrics; they are those of the last look"
                );
            }
        }
    };
    futures_util::future::join(beats, looks).await;
}

fn every() -> Interval {
    let mut turn = interval(EVERY);
    turn.set_missed_tick_behavior(MissedTickBehavior::Delay);
    turn
}

async fn look(state: &State) -> Result<()> {
    state.store.count_totals().await?;
    state.metrics.read_bus(&state.store).await
}

impl Pulse {
    async fn beat(&mut self, state: &State) -> Result<()> {
        let tallies = state.store.flow.tallies();
        let key = |tally: &Tally| (tally.namespace.clone(), tally.goal.clone());
        let done: Vec<Tally> = tallies.iter().filter_map(|tally| tally.since(self.told.get(&key(tally)))).collect();
        self.seen.extend(state.store.workers.take());
        self.seen.truncate(KEPT);
        let asked = SystemTime::now();
        let now = state.store.beat(&self.replica, &done, &last_of_each(&self.seen)).await?;
        state.metrics.set_clock_offset(offset(asked, now));
        self.seen.clear();
        self.told = tallies.into_iter().map(|tally| (key(&tally), tally)).collect();
        state.store.flow.forget_idle();
        Ok(())
    }
}

/// A statement may name each worker once.
fn last_of_each(seen: &[Worker]) -> Vec<Worker> {
    let mut workers: HashMap<(i64, &str, &str), Worker> = HashMap::with_capacity(seen.len());
    for worker in seen {
        let before = workers
            .entry((worker.tenant, &worker.namespace, &worker.name))
            .or_insert_with(|| Worker { claims: 0, ..worker.clone() });
        *before = Worker { claims: before.claims + worker.claims, ..worker.clone() };
    }
    workers.into_values().collect()
}

/// How far this replica's clock is ahead of the database's, in seconds. The answer's way counts half.
fn offset(asked: SystemTime, database: f64) -> f64 {
    let took = asked.elapsed().unwrap_or_default();
    let ours = asked.duration_since(UNIX_EPOCH).unwrap_or_default() + took / 2;
    ours.as_secs_f64() - database
}
