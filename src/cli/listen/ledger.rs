//! What becomes of each intent, told: a line for people on standard error, or an object for programs on standard output.

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anstyle::Style;
use intent_bus_client::{Claimed, Ended, Fate};
use serde_json::json;

use crate::cli::output::{self, CAREFUL, GOOD, WRONG};

/// Tells, and remembers whether anything has failed.
pub(super) struct Ledger {
    json: bool,
    verbose: bool,
    failed: AtomicBool,
    /// How long runs took of which the bus does not know the end yet, by id and attempt.
    took: Mutex<HashMap<(String, u32), Duration>>,
}

impl Ledger {
    pub(super) fn new(json: bool, verbose: bool) -> Self {
        Self { json, verbose, failed: AtomicBool::new(false), took: Mutex::default() }
    }

    /// Whether anything was not done, or is not known to be.
    pub(super) fn any_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// The run has come to its end, after so long. What the bus says to it is yet to come.
    pub(super) fn ran(&self, claimed: &Claimed, took: Duration) {
        self.took.lock().unwrap_or_else(PoisonError::into_inner).insert(run(claimed), took);
    }

    /// Tells what has become of a claim.
    pub(super) fn tell(&self, ended: &Ended) {
        let claimed = ended.claimed();
        let took = self.took.lock().unwrap_or_else(PoisonError::into_inner).remove(&run(claimed));
        let seconds = took.map(|took| took.as_secs_f64());
        let (outcome, colour, error) = read(ended.fate());
        if error.is_some() {
            self.failed.store(true, Ordering::Relaxed);
        }
        let (id, goal, attempt) = (claimed.id(), claimed.goal(), claimed.attempt());
        if self.json {
            // Nobody listens any more: the work goes on all the same.
            let _ = output::json(&json!({
                "id": id, "goal": goal, "attempt": attempt, "outcome": outcome, "seconds": seconds, "error": error,
            }));
        } else if error.is_some() || self.verbose {
            let (goal, time) = (output::printable(goal), seconds.map(|seconds| format!(" in {seconds:.2} s")));
            let reason = error.map(|error| format!(": {}", output::printable(&error)));
            output::complain(format_args!(
                "{id} {goal} {colour}{outcome}{colour:#}{}, attempt {attempt}{}",
                time.unwrap_or_default(),
                reason.unwrap_or_default()
            ));
        }
    }
}

fn run(claimed: &Claimed) -> (String, u32) {
    (claimed.id().to_owned(), claimed.attempt())
}

/// The word for it, its colour, and what is wrong.
fn read(fate: &Fate) -> (&'static str, Style, Option<String>) {
    match fate {
        Fate::Fulfilled => ("done", GOOD, None),
        Fate::Failed { reason, .. } => ("failed", WRONG, Some(reason.clone())),
        Fate::LeaseLost => {
            let why = "the lease was lost: the intent is another worker's, or was ended by somebody";
            ("lost", CAREFUL, Some(why.to_owned()))
        }
        Fate::Untold(error) => ("untold", CAREFUL, Some(format!("the bus could not be told how it ended: {error}"))),
        other => ("unknown", CAREFUL, Some(format!("{other:?}"))),
    }
}
