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

/// What was told so far.
struct Pulse {
    replica: Replica,
    /// When the last sign of life was given.
    beaten_at: Option<SystemTime>,
    /// By namespace and goal.
    told: HashMap<(String, String), Tally>,
    /// What is being told. It is told again as it is until there is an answer: the first try may have been written.
    telling: Option<Telling>,
}

/// A sign of life.
struct Telling {
    /// All that was done until then.
    tallies: Vec<Tally>,
    workers: Vec<Worker>,
}

/// Beats for as long as the process runs.
pub async fn run(state: &State) {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let replica = Replica { id: Uuid::new_v4(), host, version: VERSION };
    let mut pulse = Pulse { replica, beaten_at: None, told: HashMap::new(), telling: None };
    let beats = async {
        let mut turn = every();
        loop {
            turn.tick().await;
            if state.is_prepared()
                && let Err(error) = pulse.beat(state).await
            {
                tracing::warn!(?error, "a sign of life could not be written; it is told again");
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
    state.metrics.read_bus(&state.store, false).await
}

impl Pulse {
    async fn beat(&mut self, state: &State) -> Result<()> {
        let key = |tally: &Tally| (tally.namespace.clone(), tally.goal.clone());
        let telling = self.telling.get_or_insert_with(|| Telling {
            tallies: state.store.flow.tallies(),
            workers: state.store.workers.take(),
        });
        let told = &self.told;
        let done: Vec<Tally> = telling.tallies.iter().filter_map(|tally| tally.since(told.get(&key(tally)))).collect();
        let asked = SystemTime::now();
        let beat = state.store.beat(&self.replica, self.beaten_at, &done, &telling.workers).await?;
        state.metrics.set_clock_offset(offset(asked, beat.now));
        self.beaten_at = Some(beat.seen_at);
        if let Some(Telling { tallies, .. }) = self.telling.take() {
            self.told = tallies.into_iter().map(|tally| (key(&tally), tally)).collect();
        }
        state.store.flow.settle();
        Ok(())
    }
}

/// How far this replica's clock is ahead of the database's, in seconds. The answer's way counts half.
fn offset(asked: SystemTime, database: f64) -> f64 {
    let took = asked.elapsed().unwrap_or_default();
    let ours = asked.duration_since(UNIX_EPOCH).unwrap_or_default() + took / 2;
    ours.as_secs_f64() - database
}
