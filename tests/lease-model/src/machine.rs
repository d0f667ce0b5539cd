//! The life of one intent: what is stored of it, what is seen of it at a moment, and what each step makes of it. Who may take a
//! step is not decided here, but for the token: only the claim that holds an intent may end it.

use std::fmt::Debug;

/// A moment or a length of time: seconds of a real bus, or the steps of a model.
pub trait Time: Copy + PartialOrd + Debug {
    /// Later than every other moment.
    const NEVER: Self;

    /// So much later. Never stays never.
    #[must_use]
    fn plus(self, length: Self) -> Self;

    /// So much earlier. Never stays never.
    #[must_use]
    fn minus(self, length: Self) -> Self;
}

impl Time for f64 {
    const NEVER: Self = Self::INFINITY;

    fn plus(self, length: Self) -> Self {
        self + length
    }

    fn minus(self, length: Self) -> Self {
        self - length
    }
}

impl Time for i64 {
    const NEVER: Self = Self::MAX;

    fn plus(self, length: Self) -> Self {
        if self == Self::NEVER { self } else { self.saturating_add(length) }
    }

    fn minus(self, length: Self) -> Self {
        if self == Self::NEVER { self } else { self.saturating_sub(length) }
    }
}

/// What is stored.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Stored<K, T> {
    /// Waits to be claimed.
    Open,
    /// Was claimed, and nothing has been written since.
    Claimed {
        /// Of the claim that holds it.
        token: K,
        /// When the lease ends.
        until: T,
    },
    /// Has ended well.
    Fulfilled,
    /// Has ended otherwise.
    Dead,
}

/// What everybody sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Seen {
    /// It can be claimed, now or later.
    Open,
    /// Its lease runs.
    Claimed,
    /// It has ended well.
    Fulfilled,
    /// It has ended otherwise, whether or not that has been written down.
    Dead,
}

impl Seen {
    /// As it stands on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Claimed => "claimed",
            Self::Fulfilled => "fulfilled",
            Self::Dead => "dead",
        }
    }
}

/// The life of one intent so far. `K`: tokens of claims.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Life<K, T> {
    /// What is stored.
    pub stored: Stored<K, T>,
    /// Claims that count.
    pub attempts: i64,
    /// Claims that there may be.
    pub max_attempts: i64,
    /// From when it may be claimed.
    pub due_at: T,
}

impl<K: PartialEq, T: Time> Life<K, T> {
    /// It was published, to be claimed from `due_at` on, so often at most.
    pub const fn published(due_at: T, max_attempts: i64) -> Self {
        Self { stored: Stored::Open, attempts: 0, max_attempts, due_at }
    }

    /// It has not ended, as far as is written down.
    pub const fn is_unfinished(&self) -> bool {
        matches!(self.stored, Stored::Open | Stored::Claimed { .. })
    }

    /// A claim may take it. `time_to_live`: of an intent that nobody claims.
    pub fn is_claimable(&self, now: T, time_to_live: T) -> bool {
        self.is_unfinished() && self.due_at <= now && !self.has_expired(now, time_to_live)
    }

    /// A claim with this token holds it. That the lease has ended does not matter, as long as nobody has claimed it since.
    pub fn is_held_by(&self, token: &K) -> bool {
        matches!(&self.stored, Stored::Claimed { token: held, .. } if held == token)
    }

    /// It is claimed, and the lease has not ended.
    pub fn lease_runs(&self, now: T) -> bool {
        matches!(&self.stored, Stored::Claimed { until, .. } if *until > now)
    }

    /// All the attempts that it may have are used.
    pub const fn has_no_attempt_left(&self) -> bool {
        self.attempts >= self.max_attempts
    }

    fn has_expired(&self, now: T, time_to_live: T) -> bool {
        self.due_at <= now.minus(time_to_live)
    }

    /// What everybody sees of it at this moment.
    pub fn seen(&self, now: T, time_to_live: T) -> Seen {
        match &self.stored {
            Stored::Fulfilled => Seen::Fulfilled,
            Stored::Dead => Seen::Dead,
            Stored::Claimed { until, .. } if *until > now => Seen::Claimed,
            _ if self.has_no_attempt_left() || self.has_expired(now, time_to_live) => Seen::Dead,
            _ => Seen::Open,
        }
    }

    /// It is claimed, for so long. `backoff`: how long after the end of the lease it may be claimed again.
    pub fn claim(&mut self, token: K, now: T, lease: T, backoff: T) {
        let until = now.plus(lease);
        self.attempts += 1;
        self.stored = Stored::Claimed { token, until };
        self.due_at = if self.has_no_attempt_left() { T::NEVER } else { until.plus(backoff) };
    }

    /// The claim goes back, since nobody took it: it does not count.
    pub fn give_back(&mut self, now: T) {
        self.attempts -= 1;
        self.stored = Stored::Open;
        self.due_at = now;
    }

    /// The lease ends so much later.
    pub fn extend(&mut self, by: T) {
        if let Stored::Claimed { until, .. } = &mut self.stored {
            *until = until.plus(by);
            self.due_at = self.due_at.plus(by);
        }
    }

    /// The work is done.
    pub fn fulfill(&mut self) {
        self.stored = Stored::Fulfilled;
    }

    /// The attempt has failed, and is repeated from then on.
    pub fn requeue(&mut self, due_at: T) {
        self.stored = Stored::Open;
        self.due_at = due_at;
    }

    /// It is dead: no attempt is left, or an operator has cancelled it.
    pub fn bury(&mut self) {
        self.stored = Stored::Dead;
    }

    /// Maintenance has come by, which writes down what everybody sees already.
    pub fn maintain(&mut self, now: T, time_to_live: T) {
        if self.is_unfinished() && self.seen(now, time_to_live) == Seen::Dead {
            self.bury();
        }
    }

    /// An operator has brought it back.
    pub fn retry(&mut self, now: T) {
        self.stored = Stored::Open;
        self.attempts = 0;
        self.due_at = now;
    }
}
