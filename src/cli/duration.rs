//! Spans of time as they are given on the command line.

use std::time::Duration;

/// Reads `90`, `1.5s`, `250ms`, `15m`, `2h` or `1d`; without a unit it is seconds.
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
    Duration::try_from_secs_f64(number * unit).map_err(|error| error.to_string())
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
        for text in ["", "s", "-1", "1w", "1e400", "five"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
