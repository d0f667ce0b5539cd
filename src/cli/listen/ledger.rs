//! What comes of each intent, told: a line for people on standard error, or an object for programs on standard output.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use serde_json::json;

use crate::cli::output::{self, CAREFUL, GOOD, WRONG};

/// Tells, and remembers whether anything has failed.
pub(super) struct Ledger {
    json: bool,
    verbose: bool,
    failed: AtomicU64,
}

/// An intent that is worked on.
pub(super) struct Entry<'a> {
    pub(super) ledger: &'a Ledger,
    pub(super) id: &'a str,
    pub(super) goal: &'a str,
    pub(super) attempt: u32,
}

/// The same while it runs. Dropped before it is closed, it was cut short from outside.
pub(super) struct Open<'a>(Option<Entry<'a>>);

impl Ledger {
    pub(super) fn new(json: bool, verbose: bool) -> Self {
        Self { json, verbose, failed: AtomicU64::new(0) }
    }

    /// Whether anything was not done.
    pub(super) fn any_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed) > 0
    }
}

impl<'a> Entry<'a> {
    pub(super) fn open(self) -> Open<'a> {
        Open(Some(self))
    }

    fn tell(&self, outcome: &str, seconds: Option<f64>, error: Option<&str>) {
        let Self { ledger, id, goal, attempt } = self;
        if error.is_some() {
            ledger.failed.fetch_add(1, Ordering::Relaxed);
        }
        if ledger.json {
            // Nobody listens any more: the work goes on all the same.
            let _ = output::json(&json!({
                "id": id, "goal": goal, "attempt": attempt, "outcome": outcome, "seconds": seconds, "error": error,
            }));
        } else if error.is_some() || ledger.verbose {
            let colour = match outcome {
                "done" => GOOD,
                "failed" => WRONG,
                _ => CAREFUL,
            };
            let (goal, time) = (output::printable(goal), seconds.map(|seconds| format!(" in {seconds:.2} s")));
            let reason = error.map(|error| format!(": {}", output::printable(error)));
            output::complain(format_args!(
                "{id} {goal} {colour}{outcome}{colour:#}{}, attempt {attempt}{}",
                time.unwrap_or_default(),
                reason.unwrap_or_default()
            ));
        }
    }
}

impl Open<'_> {
    /// It has come to its end, after so long, and maybe failed.
    pub(super) fn close(mut self, took: Duration, error: Option<&str>) {
        if let Some(entry) = self.0.take() {
            entry.tell(if error.is_some() { "failed" } else { "done" }, Some(took.as_secs_f64()), error);
        }
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if let Some(entry) = self.0.take() {
            entry.tell("dropped", None, Some("the lease was lost, or the worker was told to stop at once"));
        }
    }
}
