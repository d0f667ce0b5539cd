//! Which partitions this moment's requests go to, by the database's clock. Statements that name them cost the server less than
//! those that name the whole table; each checks that its time is now, and one that works at any time takes its place when
//! it is not.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use super::{Store, statements::Admitting};
use crate::error::{Error, Result};

/// Seconds of a period of nonces.
const NONCES: i64 = 600;
/// Seconds of it after which its nonces are also those of the next (admit.sql). What is left is longer than any transaction may last.
const UNTIL_THE_END: i64 = 570;
/// Longest time between two looks at the database's clock.
const LOOK_AT_MOST: Duration = Duration::from_secs(60);
/// How long after a period's end the clock is looked at.
const AFTER_THE_END: Duration = Duration::from_millis(20);

/// A time within which the partitions are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Period {
    /// The period of nonces: unix seconds / 600.
    pub(crate) nonces: i64,
    /// Its last part, in which nonces are stored for the next one, too.
    pub(crate) ending: bool,
    /// The day, UTC.
    pub(crate) day: Date,
}

impl Period {
    /// That of a moment, and how long it still lasts.
    fn of(unix: f64) -> Result<(Self, Duration)> {
        #[allow(clippy::cast_possible_truncation, reason = "whole seconds of a clock")]
        let second = unix.floor() as i64;
        let moment = Timestamp::from_second(second).map_err(Error::fault)?;
        let ending = second.rem_euclid(NONCES) >= UNTIL_THE_END;
        let period = Self { nonces: second.div_euclid(NONCES), ending, day: moment.to_zoned(TimeZone::UTC).date() };
        #[allow(clippy::cast_precision_loss, reason = "as exact as the clock")]
        let left = period.bounds().1 as f64 - unix;
        Ok((period, Duration::try_from_secs_f64(left).unwrap_or_default()))
    }

    /// Its first moment and the first after it, in unix seconds. A day ends with a period of nonces.
    pub(crate) const fn bounds(self) -> (i64, i64) {
        let begin = self.nonces * NONCES;
        if self.ending { (begin + UNTIL_THE_END, begin + NONCES) } else { (begin, begin + UNTIL_THE_END) }
    }
}

/// The statements of this moment.
#[derive(Default)]
pub(super) struct Calendar(Mutex<Option<(Period, Arc<Admitting>)>>);

impl Calendar {
    /// None: those that work at any time have to do.
    pub(super) fn statements(&self) -> Option<Arc<Admitting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|(_, statements)| Arc::clone(statements))
    }

    /// Whether this is news.
    fn turn_to(&self, period: Period) -> bool {
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let turned = current.as_ref().is_none_or(|(before, _)| *before != period);
        if turned {
            *current = Some((period, Arc::new(Admitting::of(Some(period)))));
        }
        turned
    }

    fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Store {
    /// Follows the database's clock for as long as the process runs.
    pub async fn watch_calendar(&self) {
        loop {
            let pause = match self.look_at_the_clock().await {
                Ok(left) => (left + AFTER_THE_END).min(LOOK_AT_MOST),
                Err(error) => {
                    tracing::debug!(?error, "cannot look at the database's clock");
                    self.calendar.forget();
                    Duration::from_secs(1)
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// How long the period still lasts.
    async fn look_at_the_clock(&self) -> Result<Duration> {
        let client = self.client().await?;
        let row = client.query_one("SELECT extract(epoch FROM clock_timestamp())::double precision", &[]).await?;
        let (period, left) = Period::of(row.try_get(0)?)?;
        if self.calendar.turn_to(period) {
            // Those of the last period are of no use any more, and each costs the server memory.
            self.pool.manager().statement_caches.clear();
        }
        Ok(left)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_period_ends_with_its_ten_minutes_and_a_day_with_one_of_them() {
        let (period, left) = Period::of(1_700_006_369.0).unwrap();
        assert_eq!((period.nonces, period.ending, left), (2_833_343, false, Duration::from_secs(1)));
        let (period, left) = Period::of(1_700_006_399.5).unwrap();
        assert_eq!((period.nonces, period.ending), (2_833_343, true));
        assert_eq!(period.day.to_string(), "2023-11-14");
        assert_eq!(left, Duration::from_millis(500));
        let (next, _) = Period::of(1_700_006_400.0).unwrap();
        assert_eq!((next.nonces, next.day.to_string()), (2_833_344, "2023-11-15".to_owned()));
    }
}
