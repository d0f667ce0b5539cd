//! How templates write times, spans and numbers. What is marked as safe in HTML holds nothing but digits and fixed words.

#![allow(
    clippy::inline_always,
    clippy::trivially_copy_pass_by_ref,
    clippy::unnecessary_wraps,
    clippy::unused_self,
    unreachable_pub,
    reason = "the shape that the template engine asks for"
)]

use askama::{Result, Values, filters::HtmlSafeOutput};

/// What templates have as a number: values and references to them.
pub(super) trait Number: Copy {
    /// As a float.
    fn float(self) -> f64;
    /// As a whole number.
    fn whole(self) -> i64;
}

impl Number for f64 {
    fn float(self) -> f64 {
        self
    }

    #[allow(clippy::cast_possible_truncation, reason = "what is out of range is cut")]
    fn whole(self) -> i64 {
        self as i64
    }
}

impl Number for i64 {
    #[allow(clippy::cast_precision_loss, reason = "shown with a few digits")]
    fn float(self) -> f64 {
        self as f64
    }

    fn whole(self) -> i64 {
        self
    }
}

impl Number for i32 {
    fn float(self) -> f64 {
        self.into()
    }

    fn whole(self) -> i64 {
        self.into()
    }
}

impl<T: Number> Number for &T {
    fn float(self) -> f64 {
        (*self).float()
    }

    fn whole(self) -> i64 {
        (*self).whole()
    }
}

/// Unix seconds as a moment. Without the script it is UTC; the script writes it in the reader's zone.
#[askama::filter_fn]
pub(super) fn moment<T: Number>(seconds: T, _: &dyn Values) -> Result<HtmlSafeOutput<String>> {
    #[allow(clippy::cast_possible_truncation, reason = "milliseconds are enough, and what is out of range is cut")]
    let time = jiff::Timestamp::from_millisecond((seconds.float() * 1000.0) as i64).unwrap_or_default();
    let (exact, shown) = (time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ"), time.strftime("%Y-%m-%d %H:%M:%S"));
    Ok(HtmlSafeOutput(format!("<time datetime=\"{exact}\">{shown} UTC</time>")))
}

/// Seconds as a length of time.
#[askama::filter_fn]
pub(super) fn span<T: Number>(seconds: T, _: &dyn Values) -> Result<String> {
    // May begin with `<`: it is escaped as any text.
    Ok(super::words::span(seconds.float()))
}

/// A count, in groups of three digits.
#[askama::filter_fn]
pub(super) fn count<T: Number>(number: T, _: &dyn Values) -> Result<HtmlSafeOutput<String>> {
    Ok(HtmlSafeOutput(super::words::count(number.whole())))
}

/// A rate in a second.
#[askama::filter_fn]
pub(super) fn rate<T: Number>(rate: T, _: &dyn Values) -> Result<HtmlSafeOutput<String>> {
    Ok(HtmlSafeOutput(super::words::rate(rate.float())))
}

#[cfg(test)]
mod tests {
    use askama::Template;

    use super::super::filters;

    #[derive(Template)]
    #[template(source = "<b>{{ seconds|span }}</b>", ext = "html")]
    struct Page {
        seconds: f64,
    }

    #[test]
    fn a_span_is_text_in_a_page() {
        assert_eq!(Page { seconds: 0.0004 }.render().unwrap_or_default(), "<b>&#60; 1 ms</b>");
    }
}
