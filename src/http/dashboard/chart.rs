//! Charts of what flows, as the attributes of SVG: no script draws them and no style places them.

use std::fmt::Write;

/// Width and height of the drawing. The page stretches it.
pub(super) const WIDTH: f64 = 600.0;
/// See [`WIDTH`].
pub(super) const HEIGHT: f64 = 90.0;

/// One line over time.
#[derive(Debug)]
pub(super) struct Chart {
    /// What is drawn: the class that colours it.
    pub name: &'static str,
    /// What it is called.
    pub title: &'static str,
    /// In a second, at the end of the line.
    pub now: f64,
    /// The highest point.
    pub peak: f64,
    /// What the upper edge stands for.
    pub top: f64,
    /// The line, for `d`.
    pub line: String,
    /// The area below it, for `d`.
    pub area: String,
    /// The values, for the script that reads them out under the pointer.
    pub values: String,
    /// Unix seconds of the first value.
    pub from: i64,
    /// Seconds from one value to the next.
    pub step: i64,
}

impl Chart {
    /// A chart of these values (at least two), drawn up to `top`.
    pub(super) fn new(name: &'static str, title: &'static str, values: &[f64], top: f64, from: i64, step: i64) -> Self {
        #[allow(clippy::cast_precision_loss, reason = "some hundred points")]
        let width = WIDTH / (values.len().max(2) - 1) as f64;
        let (mut line, mut list) = (String::new(), String::new());
        let mut x = 0.0;
        for (place, value) in values.iter().enumerate() {
            let y = HEIGHT - (value / top).clamp(0.0, 1.0) * (HEIGHT - 2.0);
            // Writing to a string does not fail.
            let _ = write!(line, "{}{x:.1} {y:.1}", if place == 0 { 'M' } else { 'L' });
            let _ = write!(list, "{}{}", if place == 0 { "" } else { " " }, super::words::rate(*value));
            x += width;
        }
        let area = format!("{line}L{WIDTH} {HEIGHT}L0 {HEIGHT}Z");
        Self {
            name,
            title,
            now: values.last().copied().unwrap_or_default(),
            peak: values.iter().copied().fold(0.0, f64::max),
            top,
            line,
            area,
            values: list.replace('\u{202f}', ""),
            from,
            step,
        }
    }
}

/// The next round number (1, 2 or 5 with zeros) that is not below: where an axis may end.
pub(super) fn round_up(value: f64) -> f64 {
    if !value.is_finite() || value <= 0.1 {
        return 0.1;
    }
    let unit = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|digit| digit * unit).find(|round| *round >= value * 0.999).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_goes_from_edge_to_edge_and_stays_inside() {
        let chart = Chart::new("published", "Published", &[0.0, 5.0, 20.0], 10.0, 0, 30);
        assert_eq!(chart.line, "M0.0 90.0L300.0 46.0L600.0 2.0");
        assert_eq!(chart.area, "M0.0 90.0L300.0 46.0L600.0 2.0L600 90L0 90Z");
        assert_eq!((chart.values.as_str(), chart.now, chart.peak), ("0 5 20", 20.0, 20.0));
    }

    #[test]
    fn axes_end_at_round_numbers() {
        let cases = [(0.0, 0.1), (0.3, 0.5), (1.0, 1.0), (1.2, 2.0), (49.0, 50.0), (51.0, 100.0), (f64::NAN, 0.1)];
        for (value, top) in cases {
            assert!((round_up(value) - top).abs() < 1e-9, "{value}: {}", round_up(value));
        }
    }
}
