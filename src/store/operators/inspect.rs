//! One intent in full: what it is, what has happened to it, and why nobody claims it.

use serde::Deserialize;

use crate::{
    domain::{ids::IntentId, intent::Seen, why::Reason},
    error::{Error, Result},
    store::{Store, admission::Admission},
};

/// Bytes of a payload or result that are shown.
pub const SHOWN: usize = 65_536;

/// An intent in full. Times are unix seconds by the database's clock.
#[derive(Debug)]
pub struct Inspected {
    /// What everybody sees of it.
    pub seen: Seen,
    /// When this was read.
    pub now: f64,
    /// Who its publisher is.
    pub owner: String,
    /// What was published. None: it is past its retention.
    pub payload: Option<Excerpt>,
    /// What came back.
    pub result: Option<Excerpt>,
    /// `json` or `text`.
    pub result_type: Option<String>,
    /// The trace of its publication, as W3C Trace Context writes it.
    pub traceparent: Option<String>,
    /// What has happened to it, the oldest first.
    pub timeline: Vec<Event>,
    /// Why nobody claims it, if it is open. Never empty then.
    pub why: Vec<Reason>,
}

impl Inspected {
    /// The trace id: 32 hex digits.
    #[must_use]
    pub fn trace_id(&self) -> Option<&str> {
        self.traceparent.as_deref()?.split('-').nth(1)
    }
}

/// The beginning of a text that may be long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// At most [`SHOWN`] bytes of it.
    pub text: String,
    /// Its whole length in bytes.
    pub bytes: i64,
    /// There is more of it than is shown.
    pub cut: bool,
}

/// What happened at a moment, or will.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Unix seconds.
    pub at: f64,
    /// What it was.
    pub what: What,
    /// Of which attempt, from 1.
    pub attempt: Option<i32>,
    /// The worker, by its own word.
    pub worker: Option<String>,
    /// The worker's tenant.
    pub tenant: Option<i64>,
    /// What it said.
    pub error: Option<String>,
}

/// A kind of event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// It was published.
    Published,
    /// It was claimed.
    Claimed,
    /// The attempt failed, by its worker's word.
    Failed,
    /// The attempt's lease ended.
    Lapsed,
    /// The running lease ends (in the future).
    LeaseEnds,
    /// It can be claimed from then on (in the future).
    Due,
    /// It was fulfilled.
    Fulfilled,
    /// It died.
    Dead,
}

impl What {
    /// As it stands on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Claimed => "claimed",
            Self::Failed => "failed",
            Self::Lapsed => "lapsed",
            Self::LeaseEnds => "lease_ends",
            Self::Due => "due",
            Self::Fulfilled => "fulfilled",
            Self::Dead => "dead",
        }
    }
}

/// An earlier attempt, as `past_attempts` has it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PastAttempt {
    attempt: i32,
    worker: Option<String>,
    tenant: Option<i64>,
    claimed_at: Option<f64>,
    ended_at: Option<f64>,
    outcome: String,
    error: Option<String>,
}

impl Store {
    /// One intent in full.
    ///
    /// # Errors
    /// What admission refuses.
    pub async fn inspect(&self, admission: &Admission, id: IntentId) -> Result<Option<Inspected>> {
        let _ = (admission, id, PastAttempt::default());
        Err(Error::fault("not there yet"))
    }
}
