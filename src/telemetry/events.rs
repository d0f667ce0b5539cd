//! One line for each change of an intent's state, at `debug`: what a developer follows one intent by. Called where the change is
//! made, in the store.

use std::fmt::Display;

use super::logging::INTENTS;
use crate::domain::intent::Claimed;

/// An intent whose state has changed.
#[derive(Debug, Clone, Copy)]
pub struct Changed<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Its goal.
    pub goal: &'a str,
    /// Which claim it was, if it was one's.
    pub attempt: Option<i16>,
    /// The worker that had claimed it, if it has a name.
    pub worker: Option<&'a str>,
}

impl<'a> From<&'a Claimed> for Changed<'a> {
    fn from(claimed: &'a Claimed) -> Self {
        let Claimed { namespace, goal, claim_attempts, .. } = claimed;
        Self { namespace, goal, attempt: Some(*claim_attempts), worker: None }
    }
}

/// Says what has become of an intent: published, claimed, fulfilled, and so on.
pub fn changed(what: &'static str, id: impl Display, intent: Changed<'_>) {
    let Changed { namespace, goal, attempt, worker } = intent;
    tracing::debug!(target: INTENTS, %id, namespace, goal, attempt, worker, "{what}");
}
