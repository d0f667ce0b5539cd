//! An intent: what a publisher asks for, what a claim hands out, what can be seen of it later.

use bytes::Bytes;

use super::{
    ids::IntentId,
    lanes::Lanes,
    names::{Goal, Label, Namespace},
};
use crate::error::{Error, Result};

/// Where an intent stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Waiting to be claimed, now or at `run_at`.
    Open,
    /// Held by a worker until its lease ends.
    Claimed,
    /// Done.
    Fulfilled,
    /// Given up: attempts used up, failed for good, cancelled or expired.
    Dead,
}

impl State {
    /// The state's name on the wire and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Claimed => "claimed",
            Self::Fulfilled => "fulfilled",
            Self::Dead => "dead",
        }
    }

    /// Reads the name back.
    ///
    /// # Errors
    /// When there is no such state.
    pub fn parse(name: &str) -> Result<Self> {
        [Self::Open, Self::Claimed, Self::Fulfilled, Self::Dead]
            .into_iter()
            .find(|state| state.as_str() == name)
            .ok_or_else(|| Error::fault(format!("unknown state {name:?}")))
    }
}

/// An intent as it is published.
#[derive(Debug, Clone)]
pub struct NewIntent {
    /// Made by us before anything is stored.
    pub id: IntentId,
    /// The publisher.
    pub tenant: i64,
    /// Which part of the bus it belongs to.
    pub namespace: Namespace,
    /// What kind of work it is.
    pub goal: Goal,
    /// Any tenant may claim it.
    pub public: bool,
    /// 0 to 1000, claimed in descending order.
    pub priority: i16,
    /// Seconds until it may be claimed.
    pub delay: f64,
    /// Claims allowed, 1 to 20.
    pub max_attempts: i16,
    /// Seconds, the base of the exponential backoff.
    pub backoff_base: f64,
    /// The publisher asked for retries.
    pub has_retry_policy: bool,
    /// Only this worker may claim it.
    pub target_worker: Option<Label>,
    /// Only a worker with this capability may claim it.
    pub required_capability: Option<Label>,
    /// The JSON that came in, byte for byte.
    pub payload: Bytes,
    /// Sent by SDK 1.0; kept, not interpreted.
    pub reward: Option<Bytes>,
    /// The trace of its publication, as W3C Trace Context writes it.
    pub traceparent: Option<String>,
}

impl NewIntent {
    /// The lanes of the queue it stands in.
    #[must_use]
    pub fn lanes(&self) -> Lanes {
        Lanes::of_intent(
            self.tenant,
            self.public,
            self.namespace.as_str(),
            self.goal.as_str(),
            self.target_worker.as_ref().map(Label::as_str),
            self.required_capability.as_ref().map(Label::as_str),
        )
    }
}

/// What a claim hands to a worker, but for the token and the length of the lease, which the caller made.
#[derive(Debug)]
pub struct Claimed {
    /// The intent.
    pub id: IntentId,
    /// Its namespace.
    pub namespace: String,
    /// Its goal.
    pub goal: String,
    /// The JSON that was published, byte for byte. None: it was moved to another day at that moment.
    pub payload: Option<Vec<u8>>,
    /// The day under which it is kept.
    pub payload_day: String,
    /// Claims so far, this one included.
    pub claim_attempts: i16,
    /// Its priority.
    pub priority: i16,
    /// The worker it was meant for.
    pub target_worker: Option<String>,
    /// What it asked of the worker.
    pub required_capability: Option<String>,
    /// The trace of its publication.
    pub traceparent: Option<String>,
    /// The claim before this one ended by its lease alone.
    pub lapsed: bool,
}

/// An intent as seen from outside, finished or not. Times are unix seconds by the database's clock.
#[derive(Debug)]
pub struct Seen {
    /// The intent.
    pub id: IntentId,
    /// The publisher.
    pub tenant: i64,
    /// The tenant of the last claim.
    pub claimed_by: Option<i64>,
    /// Its namespace.
    pub namespace: String,
    /// Its goal.
    pub goal: String,
    /// Its priority.
    pub priority: i16,
    /// Any tenant may claim it.
    pub public: bool,
    /// Claims so far.
    pub claim_attempts: i16,
    /// Claims allowed.
    pub max_attempts: i16,
    /// The worker it is meant for.
    pub target_worker: Option<String>,
    /// What it asks of the worker.
    pub required_capability: Option<String>,
    /// The worker of the last claim.
    pub worker_id: Option<String>,
    /// Where it stands.
    pub state: State,
    /// When it was published.
    pub created_at: f64,
    /// From when it may be claimed.
    pub run_at: f64,
    /// The end of the running lease.
    pub claim_expires_at: Option<f64>,
    /// When it ended.
    pub completed_at: Option<f64>,
    /// The last failure, or why it is dead.
    pub last_error: Option<String>,
    /// The result as it came in, and its type.
    pub result: Option<(Vec<u8>, String)>,
    /// The day under which its payload is kept.
    pub payload_day: String,
}
