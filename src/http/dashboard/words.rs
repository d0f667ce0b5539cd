//! Numbers as people read them.

/// Seconds as a length of time, in two units at most: `4 ms`, `1.5 s`, `3 min 20 s`, `2 d 4 h`.
pub(super) fn span(seconds: f64) -> String {
    if seconds < 0.001 {
        return if seconds > 0.0 { "< 1 ms".to_owned() } else { "0 s".to_owned() };
    }
    if seconds < 0.9995 {
        return format!("{:.0} ms", seconds * 1000.0);
    }
    if seconds < 9.95 {
        return format!("{seconds:.1} s").replace(".0 s", " s");
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole seconds, not below zero")]
    let whole = seconds.round() as u64;
    let (big, small) = match whole {
        0..60 => ((whole, "s"), (0, "")),
        60..3600 => ((whole / 60, "min"), (whole % 60, "s")),
        3600..86_400 => ((whole / 3600, "h"), (whole % 3600 / 60, "min")),
        _ => ((whole / 86_400, "d"), (whole % 86_400 / 3600, "h")),
    };
    // Past ten minutes nobody asks for the seconds.
    if small.0 == 0 || (600..3600).contains(&whole) {
        format!("{} {}", big.0, big.1)
    } else {
        format!("{} {} {} {}", big.0, big.1, small.0, small.1)
    }
}

/// A count, in groups of three digits with a narrow space that does not break between them.
pub(super) fn count(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut grouped = String::from(if number < 0 { "-" } else { "" });
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    grouped
}

/// A rate in a second: with two digits that say something while it is small.
pub(super) fn rate(rate: f64) -> String {
    match rate {
        _ if rate < 0.005 => "0".to_owned(),
        _ if rate < 0.995 => format!("{rate:.2}"),
        _ if rate < 99.5 => format!("{rate:.1}").replace(".0", ""),
        #[allow(clippy::cast_possible_truncation, reason = "a rate that anything reaches")]
        _ => count(rate.round() as i64),
    }
}

/// A count and its noun: `1 intent`, `2 intents`.
pub(super) fn many(number: i64, noun: &str) -> String {
    format!("{} {noun}{}", count(number), if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_have_the_units_that_people_think_in() {
        let cases = [
            (-1.0, "0 s"),
            (0.0, "0 s"),
            (0.0004, "< 1 ms"),
            (0.0042, "4 ms"),
            (0.9999, "1 s"),
            (1.5, "1.5 s"),
            (9.99, "10 s"),
            (59.7, "1 min"),
            (200.0, "3 min 20 s"),
            (1234.0, "20 min"),
            (7260.0, "2 h 1 min"),
            (187_200.0, "2 d 4 h"),
        ];
        for (seconds, words) in cases {
            assert_eq!(span(seconds), words, "{seconds}");
        }
    }

    #[test]
    fn numbers_are_short_and_grouped() {
        assert_eq!((count(0), count(999), count(-1000)), ("0".into(), "999".into(), "-1\u{202f}000".into()));
        assert_eq!(count(1_234_567), "1\u{202f}234\u{202f}567");
        let rates = [0.001, 0.25, 1.0, 12.34, 1234.6].map(rate);
        assert_eq!(rates, ["0", "0.25", "1", "12.3", "1\u{202f}235"]);
        assert_eq!((many(1, "intent"), many(0, "intent")), ("1 intent".into(), "0 intents".into()));
    }
}
