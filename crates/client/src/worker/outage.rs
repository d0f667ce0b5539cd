//! How long claims have failed, for all goals of a worker together: that it is over is told once.

use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

#[derive(Default)]
pub(super) struct Outage(Mutex<State>);

#[derive(Default)]
struct State {
    /// When the first claim failed.
    since: Option<Instant>,
    /// When the last outage ended.
    over: Option<Instant>,
}

impl Outage {
    /// A claim has failed that began then. One from before the end of the last outage says nothing new.
    pub(super) fn goes_on(&self, began: Instant) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.over.is_none_or(|over| began >= over) {
            state.since.get_or_insert_with(Instant::now);
        }
    }

    /// A claim was answered.
    pub(super) fn is_over(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(since) = state.since.take() {
            state.over = Some(Instant::now());
            drop(state);
            tracing::info!(after = ?since.elapsed(), "claiming works again");
        }
    }
}
