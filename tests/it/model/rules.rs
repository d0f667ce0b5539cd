//! The model: what the protocol says of one intent beyond its life (`lease_model::machine`): who may see, claim and finish it, and
//! when it comes back. In plain values. No HTTP, no SQL, no clock; times are unix seconds.

use std::ops::{Deref, DerefMut};

use lease_model::machine::{Life, Seen, Stored};

/// Seconds of a lease.
pub(super) const LEASE: f64 = 60.0;
/// Seconds for which an unclaimed intent lives.
pub(super) const TTL: f64 = 86_400.0;
/// Unfinished intents that a tenant may have.
pub(super) const MAX_OPEN: usize = 3;
/// Longest jitter of a backoff, in seconds.
pub(super) const JITTER: f64 = 2.0;

pub(super) const CANCELLED: &str = "Cancelled by an operator.";
pub(super) const EXPIRED: &str = "Expired: nobody claimed it in time.";
pub(super) const LAPSED: &str = "The lease of the last attempt ended.";

#[derive(Debug, Clone)]
pub(super) struct Intent {
    pub(super) id: String,
    pub(super) owner: usize,
    pub(super) goal: &'static str,
    pub(super) public: bool,
    pub(super) priority: i64,
    pub(super) target: Option<&'static str>,
    pub(super) backoff: f64,
    pub(super) has_policy: bool,
    pub(super) created_at: f64,
    pub(super) life: Life<String, f64>,
    pub(super) claimed_by: Option<usize>,
    /// Every token it ever had.
    pub(super) tokens: Vec<String>,
    pub(super) last_error: Option<String>,
    pub(super) result: Option<u64>,
}

impl Deref for Intent {
    type Target = Life<String, f64>;

    fn deref(&self) -> &Self::Target {
        &self.life
    }
}

impl DerefMut for Intent {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.life
    }
}

impl Intent {
    /// The state that everybody sees.
    pub(super) fn state(&self, now: f64) -> &'static str {
        self.seen(now, TTL).as_str()
    }

    /// Whether a finish by this tenant is taken. No token: the tenant suffices.
    pub(super) fn is_finished_by(&self, tenant: usize, token: Option<&String>) -> bool {
        let by_token = |token| self.is_held_by(token);
        let is_claimed = matches!(self.stored, Stored::Claimed { .. });
        is_claimed && self.claimed_by == Some(tenant) && token.is_none_or(by_token)
    }

    /// Seconds from a failure of this attempt, or the end of its lease, to the next claim, without the jitter.
    pub(super) fn backoff_after(&self, attempt: i64) -> f64 {
        (0..attempt).fold(self.backoff, |seconds, _| seconds * 2.0)
    }

    /// Whether a reported failure is the end of it.
    pub(super) fn failure_is_final(&self, second_generation: bool) -> bool {
        self.has_no_attempt_left() || !(second_generation || self.has_policy)
    }

    pub(super) fn die(&mut self, reason: &str) {
        self.bury();
        self.last_error = Some(reason.to_owned());
    }

    /// What is written down of its end if that is only seen so far, by maintenance or by whoever brings it back.
    pub(super) fn note_end(&mut self, now: f64) {
        if self.is_unfinished() && self.seen(now, TTL) == Seen::Dead {
            let lapsed = self.last_error.clone().unwrap_or_else(|| LAPSED.to_owned());
            let reason = if self.has_no_attempt_left() { lapsed } else { EXPIRED.to_owned() };
            self.die(&reason);
        }
    }

    /// What an operator's cancel does to it.
    pub(super) fn cancel(&mut self) {
        if self.stored != Stored::Dead {
            self.die(CANCELLED);
        }
    }

    /// What an operator's retry does to it, if it is seen as dead.
    pub(super) fn bring_back(&mut self, now: f64) {
        self.note_end(now);
        self.retry(now);
        self.claimed_by = None;
        self.result = None;
    }

    pub(super) fn status_is_for(&self, tenant: usize) -> bool {
        self.public || self.result_is_for(tenant)
    }

    pub(super) fn result_is_for(&self, tenant: usize) -> bool {
        tenant == 0 || tenant == self.owner || self.claimed_by == Some(tenant)
    }

    /// The moments at which it changes by itself.
    pub(super) fn boundaries(&self) -> Vec<f64> {
        let lease = match &self.stored {
            Stored::Claimed { until, .. } => vec![*until],
            _ => Vec::new(),
        };
        if self.is_unfinished() { [lease, vec![self.due_at, self.due_at + TTL]].concat() } else { Vec::new() }
    }

    /// Moves it into the past.
    pub(super) fn age(&mut self, seconds: f64) {
        self.created_at -= seconds;
        self.due_at -= seconds;
        if let Stored::Claimed { until, .. } = &mut self.stored {
            *until -= seconds;
        }
    }
}

/// What a claim asks for.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) tenant: usize,
    pub(super) goal: Option<&'static str>,
    pub(super) worker: Option<&'static str>,
    pub(super) own_only: bool,
}

/// Which intent a claim gets.
pub(super) fn next<'a>(intents: &'a mut [Intent], ask: &Ask, now: f64) -> Option<&'a mut Intent> {
    intents
        .iter_mut()
        .filter(|intent| intent.owner == ask.tenant || (intent.public && !ask.own_only))
        .filter(|intent| ask.goal.is_none_or(|goal| goal == intent.goal))
        .filter(|intent| intent.target.is_none_or(|target| ask.worker == Some(target)))
        .filter(|intent| intent.is_claimable(now, TTL))
        .min_by(|left, right| {
            let by_number = right.priority.cmp(&left.priority).then(left.due_at.total_cmp(&right.due_at));
            let by_age = left.attempts.cmp(&right.attempts).then(left.created_at.total_cmp(&right.created_at));
            by_number.then(by_age).then(left.id.cmp(&right.id))
        })
}
