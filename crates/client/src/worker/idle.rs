//! Whether nothing is left to do, for a worker that ends then.
//!
//! A job of one goal may bring work for another, so a goal alone cannot know. Nothing is left when every goal has looked while no
//! job ran, has found nothing, and none has been started since.

use tokio::sync::watch;

/// What all goals of a worker have found.
pub(super) struct Idle(watch::Sender<State>);

struct State {
    /// Jobs so far.
    started: u64,
    /// Of these.
    ended: u64,
    /// For each goal: how many jobs had been started when it found that there was nothing.
    nothing: Vec<Option<u64>>,
}

/// How things stood before a claim.
#[derive(Clone, Copy)]
pub(super) struct Look {
    started: u64,
    ended: u64,
}

/// A job that runs, until this is dropped.
pub(super) struct Running(watch::Sender<State>);

impl Idle {
    pub(super) fn new(goals: usize) -> Self {
        Self(watch::Sender::new(State { started: 0, ended: 0, nothing: vec![None; goals] }))
    }

    /// Before a claim.
    pub(super) fn look(&self) -> Look {
        let state = self.0.borrow();
        Look { started: state.started, ended: state.ended }
    }

    /// A job begins.
    pub(super) fn start(&self) -> Running {
        self.0.send_modify(|state| state.started += 1);
        Running(self.0.clone())
    }

    /// The claim after this look has found nothing. Waits until it is worth another one: a job has ended since. `false`: nothing
    /// is left.
    pub(super) async fn found_nothing(&self, goal: usize, look: Look) -> bool {
        self.0.send_modify(|state| {
            if look.started == look.ended
                && let Some(nothing) = state.nothing.get_mut(goal)
            {
                *nothing = Some(look.started);
            }
        });
        let mut state = self.0.subscribe();
        let over = |state: &State| state.nothing.iter().all(|nothing| *nothing == Some(state.started));
        // This holds a sender.
        let seen = state.wait_for(|state| state.ended != look.ended || over(state)).await;
        seen.is_ok_and(|state| !over(&state))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.send_modify(|state| state.ended += 1);
    }
}
