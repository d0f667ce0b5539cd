//! Lines that repeat: of each place in the code that warns, 10 in 10 s are written. Then one line says how many were not.
//!
//! A database that goes away would otherwise fill the disk with one line, and whoever likes could do so by being refused.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tracing::{
    Event, Level, Metadata, Subscriber,
    callsite::Identifier,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context};

use super::REQUESTS;

/// Lines of one place that are written in a [`WINDOW`].
const LINES: u32 = 10;
/// Counted from the first of them.
const WINDOW: Duration = Duration::from_secs(10);
/// The target of the lines that say how many were not written. They are limited by what they tell of.
const OF_LIMITS: &str = "intent_bus::telemetry::limits";

static SUPPRESSED: AtomicU64 = AtomicU64::new(0);

/// Lines of this process that were not written.
pub(super) fn suppressed() -> u64 {
    SUPPRESSED.load(Ordering::Relaxed)
}

/// What has been written lately.
#[derive(Default)]
pub(super) struct Limits {
    sites: Mutex<Sites>,
    /// Something is there to be reported later.
    begun: Condvar,
    all_requests: AtomicBool,
}

#[derive(Default)]
struct Sites(HashMap<Identifier, Site>);

/// A place in the code.
struct Site {
    began: Instant,
    written: u32,
    /// Lines that were not written, and what the first of them said.
    suppressed: u64,
    message: String,
    target: &'static str,
}

/// How many lines of a place were not written.
#[derive(Debug, PartialEq, Eq)]
struct Report {
    suppressed: u64,
    message: String,
    target: &'static str,
}

/// What becomes of a line.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    Written,
    /// The first of a window that is not.
    First,
    Suppressed,
}

impl Sites {
    fn next(&mut self, id: Identifier, target: &'static str, now: Instant) -> Line {
        let site = self.0.entry(id).or_insert_with(|| Site {
            began: now,
            written: 0,
            suppressed: 0,
            message: String::new(),
            target,
        });
        // What is still to be reported is, whether a new window has begun or not.
        if now.saturating_duration_since(site.began) >= WINDOW {
            (site.began, site.written) = (now, 0);
        }
        if site.written < LINES {
            site.written += 1;
            return Line::Written;
        }
        site.suppressed += 1;
        if site.suppressed == 1 { Line::First } else { Line::Suppressed }
    }

    /// What is to be reported, of all places or of those whose window is over; and when the next window is.
    fn due(&mut self, now: Option<Instant>) -> (Vec<Report>, Option<Instant>) {
        let mut reports = Vec::new();
        let mut next: Option<Instant> = None;
        for site in self.0.values_mut().filter(|site| site.suppressed > 0) {
            let over = site.began + WINDOW;
            if now.is_none_or(|now| over <= now) {
                let (suppressed, message) = (std::mem::take(&mut site.suppressed), std::mem::take(&mut site.message));
                reports.push(Report { suppressed, message, target: site.target });
            } else {
                next = Some(next.map_or(over, |next| next.min(over)));
            }
        }
        (reports, next)
    }
}

impl Limits {
    /// Whether request lines are written however many they are.
    pub(super) fn exempt_requests(&self, exempt: bool) {
        self.all_requests.store(exempt, Ordering::Relaxed);
    }

    fn concern(&self, metadata: &Metadata<'_>) -> bool {
        let is_request = metadata.target() == REQUESTS;
        let warns = *metadata.level() <= Level::WARN || (is_request && *metadata.level() == Level::INFO);
        warns && metadata.target() != OF_LIMITS && !(is_request && self.all_requests.load(Ordering::Relaxed))
    }

    fn let_through(&self, event: &Event<'_>) -> bool {
        let metadata = event.metadata();
        if !self.concern(metadata) {
            return true;
        }
        let mut sites = self.lock();
        match sites.next(metadata.callsite(), metadata.target(), Instant::now()) {
            Line::Written => return true,
            Line::First => {
                if let Some(site) = sites.0.get_mut(&metadata.callsite()) {
                    event.record(&mut Message(&mut site.message));
                }
                self.begun.notify_one();
            }
            Line::Suppressed => {}
        }
        SUPPRESSED.fetch_add(1, Ordering::Relaxed);
        false
    }

    /// Reports everything that was not written, now.
    pub(super) fn report_all(&self) {
        let (reports, _) = self.lock().due(None);
        say(reports);
    }

    fn lock(&self) -> MutexGuard<'_, Sites> {
        self.sites.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reports what was not written, each time a window is over, for as long as the process runs.
pub(super) fn report_from_a_thread(limits: &Arc<Limits>) {
    let limits = Arc::clone(limits);
    // Without the thread, the last lines of the process report it.
    let _ = thread::Builder::new().name("log-limits".to_owned()).spawn(move || {
        loop {
            let mut sites = limits.lock();
            let (reports, next) = sites.due(Some(Instant::now()));
            if reports.is_empty() {
                let left = next.map_or(Duration::MAX, |next| next.saturating_duration_since(Instant::now()));
                drop(limits.begun.wait_timeout(sites, left));
            } else {
                drop(sites);
                say(reports);
            }
        }
    });
}

fn say(reports: Vec<Report>) {
    for Report { suppressed, message, target } in reports {
        tracing::warn!(target: OF_LIMITS, suppressed, of = message, by = target, "lines that repeat were not written");
    }
}

/// The layer that the lines go through.
pub(super) struct Limited(pub(super) Arc<Limits>);

impl<S: Subscriber> Layer<S> for Limited {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        self.0.let_through(event)
    }
}

/// Keeps the message of an event.
struct Message<'a>(&'a mut String);

impl Visit for Message<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            *self.0 = format!("{value:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use tracing::{Callsite, callsite::DefaultCallsite, metadata, subscriber::Interest};

    use super::*;

    fn site() -> Identifier {
        static SITE: DefaultCallsite = DefaultCallsite::new(&METADATA);
        static METADATA: Metadata<'static> = metadata! {
            name: "a warning", target: "here", level: Level::WARN, fields: &[], callsite: &SITE, kind: metadata::Kind::EVENT
        };
        SITE.set_interest(Interest::always());
        METADATA.callsite()
    }

    #[test]
    fn ten_lines_of_a_place_are_written_in_ten_seconds_and_the_others_reported_once() {
        let mut sites = Sites::default();
        let began = Instant::now();
        let say = |sites: &mut Sites, after: Duration| sites.next(site(), "here", began + after);
        for _ in 0..LINES {
            assert_eq!(say(&mut sites, Duration::ZERO), Line::Written);
        }
        assert_eq!(say(&mut sites, Duration::from_secs(1)), Line::First);
        assert_eq!(say(&mut sites, Duration::from_secs(9)), Line::Suppressed);
        assert_eq!(sites.due(Some(began + Duration::from_secs(9))), (Vec::new(), Some(began + WINDOW)));

        let report = Report { suppressed: 2, message: String::new(), target: "here" };
        assert_eq!(sites.due(Some(began + WINDOW)), (vec![report], None));
        assert_eq!(sites.due(Some(began + WINDOW)), (Vec::new(), None));
        assert_eq!(say(&mut sites, WINDOW), Line::Written);
    }

    #[test]
    fn what_was_not_written_is_reported_although_a_new_window_has_begun() {
        let mut sites = Sites::default();
        let began = Instant::now();
        for _ in 0..=LINES {
            sites.next(site(), "here", began);
        }
        assert_eq!(sites.next(site(), "here", began + WINDOW), Line::Written);
        assert_eq!(sites.due(None).0.len(), 1);
    }
}
