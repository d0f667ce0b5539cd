//! What was asked of the bus and what it answered: an append-only log, written as things happen and never changed.
//!
//! Each operation is two events: that it was asked, written before the request leaves, and what came of it. An operation without
//! the second is unknown: its client was killed, or nobody has answered. Claim tokens are in here by their hash only.

use std::{
    collections::HashMap,
    io::Write,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The wall clock of this machine, which is the database's too: unix seconds.
#[must_use]
pub fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// What the database keeps of a claim token: 128 bits of SHA-256, in hex.
#[must_use]
pub fn token_hash(token: &str) -> String {
    let mut sha = Sha256::new();
    for part in [b"claim token", token.as_bytes()] {
        sha.update((part.len() as u64).to_be_bytes());
        sha.update(part);
    }
    hex::encode(&sha.finalize()[..16])
}

/// What was asked. Intents are named by the key in their payload until they have an id, and by that from then on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum What {
    /// Publish one intent.
    Publish {
        /// Whose it is.
        tenant: String,
        /// In its payload; the idempotency key as well, where there is one.
        key: String,
        /// Whether others may work on it.
        public: bool,
    },
    /// Send a signed publication again that was acknowledged, byte for byte.
    Replay {
        /// Who signed it.
        tenant: String,
        /// In its payload.
        key: String,
    },
    /// Claim one or more.
    Claim {
        /// Who claims.
        tenant: String,
        /// The id with which it may be asked again, if it has one.
        request: Option<String>,
    },
    /// End one as fulfilled.
    Fulfil {
        /// The intent.
        id: String,
        /// The hash of the claim token.
        token: String,
        /// What it says.
        result: String,
    },
    /// Report that an attempt has failed.
    Fail {
        /// The intent.
        id: String,
        /// The hash of the claim token.
        token: String,
    },
    /// Ask for a longer lease.
    Extend {
        /// The intent.
        id: String,
        /// The hash of the claim token.
        token: String,
        /// By how much.
        seconds: f64,
    },
    /// Look at the result of an intent.
    Look {
        /// Who looks.
        tenant: String,
        /// The intent.
        id: String,
    },
}

/// A lease that a claim has brought.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lease {
    /// The intent.
    pub id: String,
    /// The hash of the claim token.
    pub token: String,
    /// The key in the payload.
    pub key: String,
    /// Which attempt this is.
    pub attempt: i64,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Outcome {
    /// Acknowledged, under this id.
    Published(String),
    /// Acknowledged, with these leases; with none if there was nothing to do.
    Claimed(Vec<Lease>),
    /// Acknowledged: a fulfilment, an extension, a look.
    Done,
    /// Acknowledged: the failure is noted, and this is the state now.
    Failed(String),
    /// Refused, and nothing was done.
    Refused(u16, String),
    /// Done or not: no answer, or that of a server in trouble.
    Unknown(String),
}

/// One half of an operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Unix seconds.
    pub at: f64,
    /// The operation. Ids are unique in a log.
    pub op: u64,
    /// Which half.
    pub step: Step,
}

/// The halves of an operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Step {
    /// Its request is about to leave.
    Asked(What),
    /// What its client knows of it.
    Answered(Outcome),
}

/// Both halves.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// When it was asked.
    pub asked: f64,
    /// When the answer was there; infinity if there was none.
    pub answered: f64,
    /// What was asked.
    pub what: What,
    /// What came of it.
    pub outcome: Outcome,
}

/// The log of one run.
#[derive(Debug)]
pub struct Log {
    sink: Sink,
    next: AtomicU64,
}

#[derive(Debug)]
enum Sink {
    Kept(Mutex<Vec<Event>>),
    /// Of a process that may be killed: each event is a line of its standard output at once.
    Lines,
}

impl Log {
    /// One that is kept here.
    #[must_use]
    pub fn kept() -> Self {
        Self { sink: Sink::Kept(Mutex::default()), next: AtomicU64::new(1) }
    }

    /// One that goes to standard output, line by line, for the process that reads it. `first`: where its ids begin.
    #[must_use]
    pub fn lines(first: u64) -> Self {
        Self { sink: Sink::Lines, next: AtomicU64::new(first) }
    }

    /// Notes that something is about to be asked.
    pub fn ask(&self, what: What) -> u64 {
        let op = self.next.fetch_add(1, Ordering::Relaxed);
        self.append(Event { at: now(), op, step: Step::Asked(what) });
        op
    }

    /// Notes what came of it.
    pub fn answer(&self, op: u64, outcome: Outcome) {
        self.append(Event { at: now(), op, step: Step::Answered(outcome) });
    }

    /// Takes an event as it is: of another process.
    pub fn append(&self, event: Event) {
        match &self.sink {
            Sink::Kept(events) => events.lock().unwrap_or_else(PoisonError::into_inner).push(event),
            Sink::Lines => {
                if let Ok(line) = serde_json::to_string(&event) {
                    // One write, so that a kill cuts no line in two. Without a reader there is nothing left to do here.
                    if std::io::stdout().lock().write_all(format!("{line}\n").as_bytes()).is_err() {
                        std::process::exit(1);
                    }
                }
            }
        }
    }

    /// What was noted so far.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        match &self.sink {
            Sink::Kept(events) => events.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            Sink::Lines => Vec::new(),
        }
    }
}

/// Puts the halves together, in the order in which they were asked.
#[must_use]
pub fn operations(events: &[Event]) -> Vec<Operation> {
    let mut operations: Vec<Operation> = Vec::new();
    let mut places: HashMap<u64, usize> = HashMap::new();
    for event in events {
        match &event.step {
            Step::Asked(what) => {
                places.insert(event.op, operations.len());
                operations.push(Operation {
                    asked: event.at,
                    answered: f64::INFINITY,
                    what: what.clone(),
                    outcome: Outcome::Unknown("never answered".to_owned()),
                });
            }
            Step::Answered(outcome) => {
                if let Some(operation) = places.get(&event.op).and_then(|place| operations.get_mut(*place)) {
                    operation.answered = event.at;
                    operation.outcome = outcome.clone();
                }
            }
        }
    }
    operations
}

/// Fulfilments acknowledged in this span, in a second.
#[must_use]
pub fn rate(events: &[Event], from: f64, to: f64) -> f64 {
    let done = operations(events)
        .iter()
        .filter(|one| matches!(one.what, What::Fulfil { .. }) && one.outcome == Outcome::Done)
        .filter(|one| one.answered >= from && one.answered < to)
        .count();
    f64::from(u32::try_from(done).unwrap_or(u32::MAX)) / (to - from).max(f64::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_without_an_answer_is_unknown() {
        let log = Log::kept();
        let claim = || What::Claim { tenant: "a".to_owned(), request: None };
        let (first, second) = (log.ask(claim()), log.ask(claim()));
        log.answer(second, Outcome::Claimed(Vec::new()));
        let operations = operations(&log.events());
        assert!(first < second);
        assert!(matches!(operations[0].outcome, Outcome::Unknown(_)) && operations[0].answered.is_infinite());
        assert_eq!(operations[1].outcome, Outcome::Claimed(Vec::new()));
    }

    #[test]
    fn an_event_survives_its_line() -> Result<(), serde_json::Error> {
        let step = Step::Asked(What::Extend { id: "1".to_owned(), token: "2".to_owned(), seconds: 10.0 });
        let event = Event { at: 1.5, op: 7, step };
        assert_eq!(serde_json::from_str::<Event>(&serde_json::to_string(&event)?)?, event);
        Ok(())
    }

    #[test]
    fn the_rate_counts_acknowledged_fulfilments_in_the_span() {
        let event = |op, at, step| Event { at, op, step };
        let fulfil = || Step::Asked(What::Fulfil { id: String::new(), token: String::new(), result: String::new() });
        let events = [
            event(1, 0.0, fulfil()),
            event(1, 1.0, Step::Answered(Outcome::Done)),
            event(2, 0.0, fulfil()),
            event(2, 1.5, Step::Answered(Outcome::Refused(404, String::new()))),
            event(3, 0.0, fulfil()),
            event(3, 2.5, Step::Answered(Outcome::Done)),
        ];
        assert!((rate(&events, 0.0, 2.0) - 0.5).abs() < 1e-9);
    }
}
