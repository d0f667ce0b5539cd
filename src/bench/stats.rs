//! The books of a run: how often, how long, what went wrong. Only what happens while `measuring` counts.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    time::Duration,
};

use hdrhistogram::Histogram;
use rustix::time::{ClockId, clock_gettime};

use crate::error::{Error, Result};

/// What a client asks of the bus.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Publish,
    Claim,
    Fulfill,
}

impl Operation {
    pub(super) const ALL: [Self; 3] = [Self::Publish, Self::Claim, Self::Fulfill];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Claim => "claim",
            Self::Fulfill => "fulfill",
        }
    }
}

/// The books of one operation.
pub(super) struct Book {
    /// Of requests that were answered by a success, in µs, from the first try. Empty claims are not in it.
    pub(super) times: Histogram<u64>,
    /// Intents in those requests.
    pub(super) intents: u64,
    /// What failed for good: requests, and intents of a batch.
    pub(super) errors: u64,
    /// By status, code or `connection`: what failed, and what was asked to come again.
    pub(super) by_reason: BTreeMap<String, u64>,
}

/// The books of a run.
pub(super) struct Stats {
    measuring: Cell<bool>,
    cycles: Cell<u64>,
    empty_claims: Cell<u64>,
    retries: Cell<u64>,
    books: RefCell<[Book; 3]>,
}

impl Stats {
    pub(super) fn new() -> Result<Self> {
        let book =
            || -> Result<Book> { Ok(Book { times: histogram()?, intents: 0, errors: 0, by_reason: BTreeMap::new() }) };
        Ok(Self {
            measuring: Cell::new(false),
            cycles: Cell::new(0),
            empty_claims: Cell::new(0),
            retries: Cell::new(0),
            books: RefCell::new([book()?, book()?, book()?]),
        })
    }

    /// From now on all counts, or nothing does.
    pub(super) fn measure(&self, on: bool) {
        self.measuring.set(on);
    }

    /// Intents that were published, claimed and fulfilled.
    pub(super) fn cycles(&self) -> u64 {
        self.cycles.get()
    }

    /// Claims that found nothing.
    pub(super) fn empty_claims(&self) -> u64 {
        self.empty_claims.get()
    }

    /// Requests that were sent once more because the bus had said so.
    pub(super) fn retries(&self) -> u64 {
        self.retries.get()
    }

    /// Shows the book of an operation.
    pub(super) fn with<T>(&self, operation: Operation, look: impl FnOnce(&Book) -> T) -> T {
        look(&self.books.borrow()[operation as usize])
    }

    pub(super) fn done(&self, operation: Operation, took: Duration, intents: u32) {
        self.note(operation, |book| {
            book.times.saturating_record(micros(took));
            book.intents += u64::from(intents);
        });
    }

    pub(super) fn failed(&self, operation: Operation, reason: &str, count: u64) {
        self.note(operation, |book| {
            book.errors += count;
            *book.by_reason.entry(reason.to_owned()).or_default() += count;
        });
    }

    pub(super) fn retried(&self, operation: Operation, reason: &str) {
        self.note(operation, |book| *book.by_reason.entry(reason.to_owned()).or_default() += 1);
        self.add(&self.retries, 1);
    }

    pub(super) fn found_nothing(&self) {
        self.add(&self.empty_claims, 1);
    }

    pub(super) fn completed(&self, cycles: u32) {
        self.add(&self.cycles, u64::from(cycles));
    }

    fn note(&self, operation: Operation, write: impl FnOnce(&mut Book)) {
        if self.measuring.get() {
            write(&mut self.books.borrow_mut()[operation as usize]);
        }
    }

    fn add(&self, counter: &Cell<u64>, count: u64) {
        if self.measuring.get() {
            counter.set(counter.get() + count);
        }
    }
}

/// Of microseconds up to ten minutes, to three digits.
pub(super) fn histogram() -> Result<Histogram<u64>> {
    Histogram::new_with_bounds(1, 600_000_000, 3).map_err(Error::fault)
}

pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// What this process has used of the processors so far, in user and kernel mode.
pub(super) fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}
