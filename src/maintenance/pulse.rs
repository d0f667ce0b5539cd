//! Every ten seconds: a sign of life with what this replica has done and whom it has seen, a count of what is unfinished if it is due,
//! and a look at the whole bus for the metrics. A replica that stops says so by its last one.

use std::{
    pin::pin,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::time::{Interval, MissedTickBehavior, interval};
use uuid::Uuid;

use crate::{
    app::State,
    error::Result,
    http::meta::VERSION,
    store::{Failure, Store, pulse::Replica, workers::Worker},
    telemetry::flow::{Tally, Told},
};

/// Time between two beats.
const EVERY: Duration = Duration::from_secs(10);

/// What one replica has told so far.
pub struct Pulse {
    replica: Replica,
    /// When the last sign of life was given.
    beaten_at: Option<SystemTime>,
    told: Told,
    /// What may have been written, though the answer was lost. It is told again as it is until there is an answer.
    in_doubt: Option<Telling>,
}

/// A sign of life.
struct Telling {
    /// All that was done until then.
    tallies: Vec<Tally>,
    workers: Vec<Worker>,
}

/// Beats until the replica has stopped, and signs it off.
pub async fn run(state: &State, stopped: impl Future<Output = ()>) {
    let mut pulse = Pulse::default();
    let mut stopped = pin!(stopped);
    let beats = async {
        let mut turn = every();
        let mut got_through = false;
        loop {
            // A beat that is under way is never left: it would make the row anew that signing off takes away.
            tokio::select! { () = &mut stopped => break, _ = turn.tick() => {} }
            if !state.is_prepared() {
                continue;
            }
            let beat = pulse.beat(&state.store).await;
            got_through = beat.is_ok();
            match beat {
                Ok(offset) => state.metrics.set_clock_offset(offset),
                Err(error) => tracing::warn!(?error, "a sign of life could not be written; it is told again"),
            }
        }
        // Whose database is away does not wait for it, and is seen as gone.
        if got_through && let Err(error) = pulse.sign_off(&state.store).await {
            tracing::warn!(?error, "the replica could not be signed off; it is shown as gone for an hour");
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
    tokio::select! { () = beats => {}, () = looks => {} }
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

impl Default for Pulse {
    /// A new replica, which has told nothing yet.
    fn default() -> Self {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let replica = Replica { id: Uuid::new_v4(), host, version: VERSION };
        Self { replica, beaten_at: None, told: Told::default(), in_doubt: None }
    }
}

impl Pulse {
    /// Tells what was done since the last time, once however often it takes. Gives how far this replica's clock is ahead of the
    /// database's, in seconds.
    ///
    /// # Errors
    /// When the database is away or refuses. The next call tells what this one could not.
    pub async fn beat(&mut self, store: &Store) -> Result<f64> {
        let doubted = self.in_doubt.take();
        let is_first_try = doubted.is_none();
        let telling =
            doubted.unwrap_or_else(|| Telling { tallies: store.flow.tallies(), workers: store.workers.take() });
        let done = self.told.since(&telling.tallies);
        let asked = SystemTime::now();
        match store.beat(&self.replica, self.beaten_at, &done, &telling.workers).await {
            Ok(beat) => {
                self.beaten_at = Some(beat.seen_at);
                self.told.keep(telling.tallies);
                // Not by tallies as old as an outage: what came since would be forgotten untold.
                if is_first_try {
                    self.told.forget(&store.flow.settle());
                }
                Ok(offset(asked, beat.now))
            }
            Err(failure) => {
                match failure {
                    Failure::Lost => self.in_doubt = Some(telling),
                    Failure::Away(_) if !is_first_try => self.in_doubt = Some(telling),
                    // Made anew next time: what was refused as it is might be refused for ever. If an earlier try was written
                    // after all, the next one is not, since it names the sign of life before that: a gap, but nothing twice.
                    Failure::Away(_) | Failure::Refused(_) => store.workers.put_back(telling.workers),
                }
                Err(failure.into_error())
            }
        }
    }

    /// Tells what was done since the last time, and that this replica is no more: nobody misses it.
    ///
    /// # Errors
    /// When the database is away or refuses.
    pub async fn sign_off(&mut self, store: &Store) -> Result<()> {
        self.beat(store).await?;
        store.sign_off(&self.replica).await
    }
}

/// How far this replica's clock is ahead of the database's, in seconds. The answer's way counts half.
fn offset(asked: SystemTime, database: f64) -> f64 {
    let took = asked.elapsed().unwrap_or_default();
    let ours = asked.duration_since(UNIX_EPOCH).unwrap_or_default() + took / 2;
    ours.as_secs_f64() - database
}
