//! How often and when something is tried again. Whether it may be at all is a matter of what was asked: see the table in the
//! crate's documentation.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::error::Error;

/// How patient a call is: pauses with full jitter, which double, and never shorter than the bus asks for by `Retry-After`.
///
/// ```
/// use std::time::Duration;
/// use intent_bus_client::RetryPolicy;
///
/// let policy = RetryPolicy::default()
///     .attempts(3)
///     .first_pause(Duration::from_millis(100))
///     .longest_pause(Duration::from_secs(1))
///     .patience(Duration::from_secs(10));
/// # let _ = (policy, RetryPolicy::none());
/// ```
#[derive(Debug, Clone)]
pub struct RetryPolicy {
    attempts: u32,
    first_pause: Duration,
    longest_pause: Duration,
    patience: Duration,
}

impl Default for RetryPolicy {
    /// 6 attempts within 30 s; pauses of up to 0.2 s, then 0.4 s and so on, up to 5 s.
    fn default() -> Self {
        Self {
            attempts: 6,
            first_pause: Duration::from_millis(200),
            longest_pause: Duration::from_secs(5),
            patience: Duration::from_secs(30),
        }
    }
}

impl RetryPolicy {
    /// Everything is tried once.
    #[must_use]
    pub fn none() -> Self {
        Self { attempts: 1, ..Self::default() }
    }

    /// Tries at most, the first one included; 1 at least.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// The upper limit of the pause before the second try. It doubles with each further one.
    #[must_use]
    pub fn first_pause(mut self, pause: Duration) -> Self {
        self.first_pause = pause;
        self
    }

    /// The upper limit of all pauses, but for what `Retry-After` asks.
    #[must_use]
    pub fn longest_pause(mut self, pause: Duration) -> Self {
        self.longest_pause = pause;
        self
    }

    /// No try begins later than this after the first one began. If `Retry-After` leads beyond it, the error is returned at once.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// How long the bus may stay away.
    pub(crate) fn lasts(&self) -> Duration {
        self.patience
    }

    /// As often as it takes, within this time.
    pub(crate) fn persistent(&self, patience: Duration) -> Self {
        Self { attempts: u32::MAX, patience: patience.max(self.patience), ..self.clone() }
    }

    /// The tries of one call, of which the first begins now.
    pub(crate) fn begin(&self) -> Tries<'_> {
        self.begin_after(Duration::ZERO)
    }

    /// The same, where patience begins so much later.
    pub(crate) fn begin_after(&self, waits: Duration) -> Tries<'_> {
        Tries { policy: self, made: 1, began: Instant::now(), waits }
    }

    /// The pause after so many faults in a row: anything up to the doubled one, so that many clients do not come back at once.
    pub(crate) fn pause(&self, faults: u32) -> Duration {
        let limit = self.first_pause.saturating_mul(1_u32.checked_shl(faults.saturating_sub(1)).unwrap_or(u32::MAX));
        limit.min(self.longest_pause).mul_f64(fastrand::f64())
    }
}

/// The tries of one call.
pub(crate) struct Tries<'a> {
    policy: &'a RetryPolicy,
    made: u32,
    began: Instant,
    /// For so long patience is not used up.
    waits: Duration,
}

impl Tries<'_> {
    /// Waits for the next try after this error. `false`: there is none.
    pub(crate) async fn next(&mut self, error: &Error) -> bool {
        let pause = error.retry_after().unwrap_or_default().saturating_add(self.policy.pause(self.made));
        let patience = self.policy.patience.saturating_add(self.waits);
        if self.made >= self.policy.attempts || self.began.elapsed().saturating_add(pause) > patience {
            return false;
        }
        tracing::debug!(attempt = self.made, ?pause, %error, "trying again");
        self.made += 1;
        sleep(pause).await;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_anything_up_to_a_limit_that_doubles() {
        let policy =
            RetryPolicy::default().first_pause(Duration::from_millis(100)).longest_pause(Duration::from_millis(350));
        for (faults, limit) in [(1, 100), (2, 200), (3, 350), (40, 350)] {
            let pauses: Vec<_> = (0..200).map(|_| policy.pause(faults)).collect();
            let limit = Duration::from_millis(limit);
            assert!(pauses.iter().all(|pause| *pause <= limit), "{faults}: {pauses:?}");
            assert!(pauses.iter().any(|pause| *pause > limit / 2), "{faults}: jitter reaches up to the limit");
            assert!(pauses.iter().any(|pause| *pause < limit / 2), "{faults}: and down to nothing");
        }
    }
}
