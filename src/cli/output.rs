//! What is printed: for people with colour where there is a terminal and `NO_COLOR` is not set, for programs as JSON.
//!
//! Results go to standard output and can be piped on; everything else goes to standard error.

use std::{
    fmt::Display,
    io::{self, Write},
};

use anstyle::{AnsiColor, Style};
use serde::Serialize;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{filter::Targets, layer::SubscriberExt, util::SubscriberInitExt};

/// Of what is well.
pub(super) const GOOD: Style = AnsiColor::Green.on_default();
/// Of what wants a look.
pub(super) const CAREFUL: Style = AnsiColor::Yellow.on_default();
/// Of what is wrong.
pub(super) const WRONG: Style = AnsiColor::Red.on_default().bold();
/// Of the names of fields.
pub(super) const NAME: Style = Style::new().dimmed();

/// Sends what the client has to say to standard error: that others can read the key file, that claims fail. What becomes of
/// each intent is told by `listen` itself.
pub(super) fn log() {
    let told = Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("intent_bus_client::worker", LevelFilter::INFO)
        .with_target("intent_bus_client::worker::job", LevelFilter::OFF);
    // As `anstream` does it for all else.
    let colour = anstream::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_target(false).with_ansi(colour);
    tracing_subscriber::registry().with(lines).with(told).init();
}

/// A line on standard output.
pub(super) fn say(line: impl Display) -> io::Result<()> {
    writeln!(anstream::stdout(), "{line}")
}

/// A line of JSON on standard output.
pub(super) fn json(value: &impl Serialize) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, value)?;
    out.write_all(b"\n")
}

/// Bytes as they are on standard output, and a line feed.
pub(super) fn bytes(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.write_all(b"\n")
}

/// A line on standard error. That nobody reads it is no fault.
pub(super) fn complain(line: impl Display) {
    let _ = writeln!(anstream::stderr(), "{line}");
}

/// Lines of a name and a value each; those without a value are left out. A value of several lines goes on below itself.
pub(super) fn fields(fields: &[(&str, Option<String>)]) -> io::Result<()> {
    let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, value) in fields {
        let Some(value) = value else { continue };
        let text = printable_lines(value);
        let mut lines = text.lines();
        say(format_args!("{NAME}{name:width$}{NAME:#}  {}", lines.next().unwrap_or_default()))?;
        for line in lines {
            say(format_args!("{:width$}  {line}", ""))?;
        }
    }
    Ok(())
}

/// A table; the last column is as wide as it likes.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([head[column].len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded: Vec<String> = cells.zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        padded.join("  ").trim_end().to_owned()
    };
    say(format_args!("{NAME}{}{NAME:#}", line(&mut head.iter().copied())))?;
    for row in rows {
        say(line(&mut row.iter().map(String::as_str)))?;
    }
    Ok(())
}

/// What others have written as one line, without what a terminal would act upon.
pub(super) fn printable(text: &str) -> String {
    printable_lines(text).trim_end_matches('\n').replace('\n', " ")
}

/// The same with its lines.
pub(super) fn printable_lines(text: &str) -> String {
    let shown = |letter: char| if letter.is_control() && !"\t\n".contains(letter) { '\u{fffd}' } else { letter };
    text.replace("\r\n", "\n").chars().map(shown).collect()
}

/// Unix seconds as people write a moment, in UTC.
pub(super) fn moment(seconds: f64) -> String {
    #[allow(
        clippy::cast_possible_truncation,
        reason = "a fraction of a second is not shown; what is too large is refused"
    )]
    let whole = jiff::Timestamp::from_second(seconds as i64);
    whole.map_or_else(|_| seconds.to_string(), |moment| moment.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_cannot_move_the_cursor() {
        assert_eq!(printable("a\x1b[2Jb\rc\td"), "a\u{fffd}[2Jb\u{fffd}c\td");
    }

    #[test]
    fn a_line_feed_is_one_or_a_space() {
        assert_eq!(printable_lines("a\r\nb\n\x1b[A"), "a\nb\n\u{fffd}[A");
        assert_eq!(printable("a\r\nb\nc\n"), "a b c");
    }

    #[test]
    fn a_moment_is_written_in_utc() {
        assert_eq!(moment(1_795_370_566.9), "2026-11-22T18:02:46Z");
    }
}
