//! Recorded runs: what happened to one intent of a real bus, held against the machine. A run is put together from what the bus
//! keeps of it (when it was claimed, when an attempt ended and how) and from what workers were told (which token, which answer).

use std::fmt;

use crate::machine::{Life, Seen, Stored};

/// Seconds by which two readings of one moment may differ: they have microseconds, and have been floats.
const READING: f64 = 0.000_01;

/// What the intent was published with, and what the bus adds to it. Its publisher has a retry policy.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// Attempts that it may have.
    pub max_attempts: i64,
    /// Seconds, doubled with each attempt.
    pub backoff_base: f64,
    /// Seconds of a lease.
    pub lease: f64,
    /// Seconds for which it lives unclaimed.
    pub time_to_live: f64,
}

impl Terms {
    /// Seconds from the end of this attempt to the next one, at least: a jitter may come on top.
    fn backoff(&self, attempts: i64) -> f64 {
        (0..attempts).fold(self.backoff_base, |seconds, _| seconds * 2.0)
    }
}

/// Something that happened, at a moment of the database's clock (unix seconds) or, for what only a worker knows, of a clock that
/// agrees with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// When.
    pub at: f64,
    /// What.
    pub what: What,
}

/// What can happen. Tokens are those that workers hold; `None`: nobody has told of it, the answer was lost.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// It was stored, to be claimed from `due_at` on.
    Published {
        /// Unix seconds.
        due_at: f64,
    },
    /// It was claimed.
    Claimed {
        /// Which claim it was by the bus's count, from 1.
        attempt: i64,
        /// Of this claim.
        token: Option<String>,
    },
    /// A worker was told that its lease is longer. `at`: when it asked.
    Extended {
        /// Of its claim.
        token: String,
        /// Seconds.
        by: f64,
    },
    /// It ended well.
    Fulfilled {
        /// Of the claim that a worker was told had fulfilled it.
        token: Option<String>,
    },
    /// An attempt has failed by its worker's word.
    Failed {
        /// Of the claim that a worker was told had failed.
        token: Option<String>,
        /// It was told that there is no further attempt.
        last: bool,
    },
    /// A lease has ended.
    Lapsed,
    /// It has ended without a worker's word: its last lease, or its time to live, is over.
    Dead,
    /// An operator has cancelled it.
    Cancelled,
    /// An operator has brought it back.
    Retried,
    /// A worker was told that its claim is over. `at`: when it was told.
    Refused {
        /// Of its claim.
        token: String,
    },
}

/// What no intent may go through.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// The event, by its place in the order of time.
    pub event: Event,
    /// What is wrong with it.
    pub why: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?}", self.why, self.event)
    }
}

impl std::error::Error for Fault {}

/// Holds a run against the machine, and says how the intent stands at its end.
///
/// # Errors
/// The first event that the machine does not allow.
pub fn check(terms: Terms, mut events: Vec<Event>) -> Result<Life<Option<String>, f64>, Fault> {
    // Stable: what was recorded as happening at one moment stays in its order.
    events.sort_by(|one, other| one.at.total_cmp(&other.at));
    let mut run: Option<Run> = None;
    for event in events {
        let outcome = match (&mut run, &event.what) {
            (None, What::Published { due_at }) => {
                run = Some(Run { terms, life: Life::published(*due_at, terms.max_attempts), used: Vec::new() });
                Ok(())
            }
            (None, _) => Err("it was not published yet".to_owned()),
            (Some(run), what) => run.step(event.at, what),
        };
        if let Err(why) = outcome {
            return Err(Fault { event, why });
        }
    }
    run.map(|run| run.life)
        .ok_or_else(|| Fault { event: Event { at: 0.0, what: What::Dead }, why: "nothing was recorded".to_owned() })
}

struct Run {
    terms: Terms,
    life: Life<Option<String>, f64>,
    /// Tokens of claims that are over.
    used: Vec<String>,
}

impl Run {
    fn step(&mut self, at: f64, what: &What) -> Result<(), String> {
        match what {
            What::Published { .. } => Err("it was published twice".to_owned()),
            What::Claimed { attempt, token } => self.claimed(at, *attempt, token.as_ref()),
            What::Extended { token, by } => {
                self.held_by(Some(token))?;
                if !self.life.lease_runs(at) {
                    return Err("a lease that had ended was extended".to_owned());
                }
                self.life.extend(*by);
                Ok(())
            }
            What::Fulfilled { token } => {
                self.held_by(token.as_ref())?;
                self.life.fulfill();
                Ok(())
            }
            What::Failed { token, last } => {
                self.held_by(token.as_ref())?;
                self.failed(at, *last)
            }
            What::Lapsed => self.lapsed(at),
            What::Dead => match self.life.seen(at + READING, self.terms.time_to_live) {
                Seen::Dead => {
                    self.life.bury();
                    Ok(())
                }
                seen => Err(format!("it is dead, and was {}", seen.as_str())),
            },
            What::Cancelled => {
                self.life.bury();
                Ok(())
            }
            What::Retried if self.life.seen(at, self.terms.time_to_live) == Seen::Dead => {
                self.life.retry(at);
                Ok(())
            }
            What::Retried => Err("it was brought back and was not dead".to_owned()),
            What::Refused { token } if self.life.is_held_by(&Some(token.clone())) => {
                Err("a worker was told that its claim is over, and holds it".to_owned())
            }
            What::Refused { .. } => Ok(()),
        }
    }

    fn claimed(&mut self, at: f64, attempt: i64, token: Option<&String>) -> Result<(), String> {
        if self.life.lease_runs(at - READING) {
            return Err("it was claimed while another claim's lease ran".to_owned());
        }
        if !self.life.is_claimable(at + READING, self.terms.time_to_live) {
            return Err(format!(
                "it was claimed and could not be: due at {:?}, {:?}",
                self.life.due_at, self.life.stored
            ));
        }
        if self.life.has_no_attempt_left() || attempt != self.life.attempts + 1 {
            return Err(format!("it was claim {attempt} after {} of {}", self.life.attempts, self.life.max_attempts));
        }
        if let Stored::Claimed { token: Some(before), .. } = &self.life.stored {
            self.used.push(before.clone());
        }
        if token.is_some_and(|token| self.used.contains(token)) {
            return Err("a token was given out twice".to_owned());
        }
        let backoff = self.terms.backoff(attempt);
        self.life.claim(token.cloned(), at, self.terms.lease, backoff);
        Ok(())
    }

    /// Whether the claim with this token may end the intent. Whoever was not told of a token is believed.
    fn held_by(&self, token: Option<&String>) -> Result<(), String> {
        match (&self.life.stored, token) {
            (Stored::Claimed { token: Some(held), .. }, Some(token)) if held != token => {
                Err("a worker was told that it had ended a claim that another one held".to_owned())
            }
            (Stored::Claimed { .. }, _) => Ok(()),
            (stored, _) => Err(format!("it was not claimed: {stored:?}")),
        }
    }

    fn lapsed(&mut self, at: f64) -> Result<(), String> {
        match self.life.stored {
            Stored::Claimed { until, .. } if (until - at).abs() <= READING => Ok(()),
            Stored::Claimed { until, .. } => Err(format!("its lease ended at {at}, not at {until}")),
            _ => Err("a lease ended that nobody held".to_owned()),
        }
    }

    fn failed(&mut self, at: f64, last: bool) -> Result<(), String> {
        if last != self.life.has_no_attempt_left() {
            return Err(format!("it failed {} times of {}", self.life.attempts, self.life.max_attempts));
        }
        if last {
            self.life.bury();
        } else {
            self.life.requeue(at + self.terms.backoff(self.life.attempts));
        }
        Ok(())
    }
}
