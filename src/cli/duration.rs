//! Spans of time as they are given on the command line.

use std::time::Duration;

/// The most that is read: a hundred years, as good as for ever. The clock can count so far, and a little grace on top.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Reads `90`, `1.5s`, `250ms`, `15m`, `2h` or `1d`; without a unit it is seconds. What is longer than [`LONGEST`] is that.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        other => return Err(format!("{other:?} is no unit; it is one of ms, s, m, h and d")),
    };
    let number: f64 =
        digits.parse().map_err(|_| "a span of time is a number and a unit, such as 1.5s or 10m".to_owned())?;
    if number < 0.0 {
        return Err("a span of time is not less than nothing".to_owned());
    }
    let seconds = number * unit;
    // Not a number stays that, and is refused.
    let seconds = if seconds > LONGEST.as_secs_f64() { LONGEST.as_secs_f64() } else { seconds };
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn spans_are_seconds_unless_they_say_otherwise() {
        for (text, millis) in [("2", 2000), ("1.5s", 1500), ("250ms", 250), ("2m", 120_000), ("1h", 3_600_000)] {
            assert_eq!(parse(text).unwrap(), Duration::from_millis(millis), "{text}");
        }
        for text in ["", "s", "-1", "1w", "nan", "inf", "five"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn no_span_is_longer_than_the_clock_can_count() {
        for text in ["2e14d", "36501d", "1e400"] {
            assert_eq!(parse(text).unwrap(), LONGEST, "{text}");
        }
        let now = std::time::Instant::now();
        assert!(now.checked_add(2 * LONGEST).is_some(), "with what is added to it");
    }
}
