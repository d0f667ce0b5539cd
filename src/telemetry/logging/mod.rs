//! Log lines on standard output, for machines or for people. One line for each request ([`REQUESTS`]), one for each change of
//! an intent's state ([`INTENTS`]), and what the replica itself has to say. Never a key, a token or a payload.
//!
//! Lines that repeat are limited (`limits`), and whoever is slow in reading them does not slow the bus (`writer`).

mod limits;
mod writer;

use std::{ffi::OsStr, io::IsTerminal, sync::Arc};

use tracing::Level;
use tracing_subscriber::{EnvFilter, layer::SubscriberExt, util::SubscriberInitExt};

use self::{limits::Limits, writer::Writer};

/// The target of request lines: errors of the bus, refused and slow ones at `info` and above, all others at `debug`.
pub const REQUESTS: &str = "intent_bus::requests";
/// The target of the lines that tell what became of an intent, at `debug`.
pub const INTENTS: &str = "intent_bus::intents";

/// Libraries that say too much, unless the filter names them: broken HTTP is an error to `actix_http`, so that anybody could
/// fill the log with errors.
const QUIET: &str = "actix_http=off,actix_server=warn,tokio_postgres=warn,h2=warn,hyper=warn,hyper_util=warn,rustls=warn,tonic=warn,tower=warn";

/// Keeps the log going. When this goes, what has been said is written, for as long as somebody reads it.
#[must_use = "the last lines are written when this goes"]
pub struct Log(Option<(Arc<Limits>, Writer)>);

/// Sets the process up to log. `filter`: a level, or a filter by module. Later calls change nothing.
pub fn init(filter: &str, pretty: bool) -> Log {
    let filter = EnvFilter::try_new(format!("{QUIET},{filter}")).unwrap_or_else(|_| EnvFilter::new("info"));
    let Ok(writer) = Writer::start() else { return Log(None) };
    let limits = Arc::new(Limits::default());
    let registry = tracing_subscriber::registry().with(filter).with(limits::Limited(Arc::clone(&limits)));
    let lines = tracing_subscriber::fmt::layer().with_writer(writer.clone());
    // It fails when a subscriber is set already, as in tests that run several servers in one process.
    let done = if pretty {
        let colours = colours(std::io::stdout().is_terminal(), std::env::var_os("NO_COLOR").as_deref());
        registry.with(lines.compact().with_ansi(colours)).try_init()
    } else {
        registry.with(lines.json().flatten_event(true)).try_init()
    };
    if done.is_err() {
        return Log(None);
    }
    // Whoever asks for every request gets every request.
    limits.exempt_requests(tracing::enabled!(target: REQUESTS, Level::DEBUG));
    limits::report_from_a_thread(&limits);
    Log(Some((limits, writer)))
}

/// Whether lines are coloured: for a person at a terminal who has not forbidden it. `no_color`: as <https://no-color.org> says.
fn colours(is_terminal: bool, no_color: Option<&OsStr>) -> bool {
    is_terminal && no_color.is_none_or(OsStr::is_empty)
}

impl Drop for Log {
    fn drop(&mut self) {
        if let Some((limits, writer)) = &self.0 {
            limits.report_all();
            writer.flush();
        }
    }
}

/// Lines that this process has not written since they repeated others.
#[must_use]
pub fn suppressed() -> u64 {
    limits::suppressed()
}

/// Lines that this process has not written since nobody read the ones before.
#[must_use]
pub fn lost() -> u64 {
    writer::lost()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_terminal_gets_colours_and_only_where_they_are_not_forbidden() {
        assert!(colours(true, None));
        assert!(colours(true, Some(OsStr::new(""))));
        assert!(!colours(true, Some(OsStr::new("1"))));
        assert!(!colours(false, None));
    }
}
