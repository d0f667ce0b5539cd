//! What every replica does in the background. All of it is safe on all replicas at once: rows are taken with SKIP LOCKED, slots
//! and partitions under locks. Each step is bounded by a timeout, and most in rows; what is done is counted and logged. No request
//! waits for any of it: expired leases and intents are treated as such by the claims themselves.

pub mod pulse;
pub mod vacuum;

use std::time::Duration;

use uuid::Uuid;

use crate::{
    app::State,
    config,
    error::Result,
    store::{Store, partitions::MOVE_PAYLOADS_AFTER, rings::Ring},
};

/// Rows of a kind that one statement of a pass changes or looks at.
const STEP: i64 = 1000;
/// Steps of a kind in one pass.
const STEPS: usize = 10;
/// Rows that one step of the sweep looks at.
const SWEEP_STEP: i64 = 5000;

/// How far the sweep over the unfinished intents has come. It goes on where the last pass stopped.
#[derive(Debug, Default)]
pub struct Sweep {
    after: Uuid,
}

/// What one pass has done.
#[derive(Debug, Default, Clone, Copy)]
pub struct Done {
    /// Last attempts whose lease had ended: dead now.
    pub lapsed: u64,
    /// Intents past their time to live: dead now.
    pub expired: u64,
    /// Payloads moved out of an old partition.
    pub moved: u64,
    /// Expired values deleted.
    pub values: u64,
    /// Lanes with priorities that nothing was published in for days.
    pub lanes: u64,
    /// Slots of the rings emptied.
    pub slots: u64,
    /// Partitions made.
    pub made: u64,
    /// Partitions dropped.
    pub dropped: u64,
    /// Signs of life forgotten.
    pub pulse: u64,
    /// Keys that have ended by themselves.
    pub keys: u64,
    /// Reports of lost claims forgotten.
    pub late: u64,
}

impl Done {
    fn counts(&self) -> [(&'static str, u64); 11] {
        [
            ("lapsed_claims", self.lapsed),
            ("expired_intents", self.expired),
            ("moved_payloads", self.moved),
            ("values", self.values),
            ("unused_lanes", self.lanes),
            ("emptied_slots", self.slots),
            ("made_partitions", self.made),
            ("dropped_partitions", self.dropped),
            ("pruned_activity", self.pulse),
            ("retired_keys", self.keys),
            ("late_results", self.late),
        ]
    }
}

/// Runs pass after pass for as long as the process runs.
pub async fn run(state: &State, settings: &config::Maintenance) {
    let mut sweep = Sweep::default();
    loop {
        // Not all replicas at the same moment, and not at once either: they are often started together.
        let [jitter] = crate::domain::ids::random_bytes::<1>().map(u64::from);
        tokio::time::sleep(settings.interval + Duration::from_millis(jitter)).await;
        match pass(&state.store, settings.retention_days, &mut sweep).await {
            Ok(done) => {
                report(state, &done);
                state.metrics.maintenance_succeeded();
            }
            Err(error) => tracing::warn!(?error, "a pass of maintenance failed; the next one goes on"),
        }
    }
}

fn report(state: &State, done: &Done) {
    for (kind, count) in done.counts() {
        if count > 0 {
            state.metrics.maintained(kind, count);
            tracing::info!(kind, count, "maintenance");
        }
    }
}

/// One pass over everything.
///
/// # Errors
/// `database_busy`; what was done until then stays done.
pub async fn pass(store: &Store, retention_days: i32, sweep: &mut Sweep) -> Result<Done> {
    let mut done = Done { made: store.make_partitions().await?, ..Done::default() };
    for ring in [Ring::Nonces, Ring::IdempotencyKeys] {
        done.slots += u64::from(store.empty_next_slot(ring).await?);
    }
    done.lapsed = repeat(async || store.bury_lapsed(STEP).await).await?;
    done.values = repeat(async || store.drop_expired_values(STEP).await).await?;
    done.pulse = store.prune_pulse().await?;
    done.keys = store.retire_keys().await?;
    done.late = repeat(async || store.drop_late(retention_days, STEP).await).await?;
    done.lanes = repeat(async || store.drop_unused_lanes(STEP).await).await?;
    for _ in 0..STEPS {
        let swept = store.sweep(sweep.after, SWEEP_STEP, MOVE_PAYLOADS_AFTER).await?;
        done.expired += swept.expired;
        done.moved += swept.moved;
        sweep.after = swept.last.unwrap_or_default();
        if swept.last.is_none() {
            break;
        }
    }
    // The one must not wait for ever for the other, should that fail in each pass.
    let counted = store.count_totals().await;
    done.dropped = store.drop_partitions(retention_days).await?;
    counted.map(|()| done)
}

/// Repeats a step until it finds less than it may take, or often enough for one pass.
async fn repeat(step: impl AsyncFn() -> Result<u64>) -> Result<u64> {
    let mut total = 0;
    for _ in 0..STEPS {
        let count = step().await?;
        total += count;
        if count < STEP.unsigned_abs() {
            break;
        }
    }
    Ok(total)
}
