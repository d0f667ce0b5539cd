//! One intent: whether it may be run, what of the run is the result, and what of it says why it has failed.

use std::{io, time::Instant};

use intent_bus_client::{Job, Outcome, RawValue};
use intent_bus_protocol::{json, limits::MAX_DEPTH};

use super::{
    ledger::Ledger,
    program::{Ended, Finished, Program},
};

/// Letters of standard error that go into the reason: the bus keeps 500 of all.
const REASON: usize = 440;

/// Why it has failed if it was cancelled. Or its lease is lost, and then there is nobody to tell.
const STOPPED: &str = "The worker was told to stop, and has ended it.";

/// What is done for every intent.
pub(super) struct Task {
    pub(super) program: Program,
    /// Run nothing that is not known to be private.
    pub(super) private_only: bool,
    pub(super) ledger: Ledger,
}

impl Task {
    /// What the intent comes to; as an error the reason why it has failed.
    pub(super) async fn run(&self, job: &Job<Box<RawValue>>) -> Result<Outcome, String> {
        let began = Instant::now();
        let done = self.outcome(job).await;
        self.ledger.ran(job.claimed(), began.elapsed());
        done
    }

    async fn outcome(&self, job: &Job<Box<RawValue>>) -> Result<Outcome, String> {
        if self.private_only {
            tokio::select! {
                private = known_to_be_private(job) => private?,
                () = job.cancelled() => return Err(STOPPED.to_owned()),
            }
        }
        let attempt = job.attempt().to_string();
        let mut variables = vec![
            ("INTENT_ID", job.id()),
            ("INTENT_GOAL", job.goal()),
            ("INTENT_NAMESPACE", job.namespace()),
            ("INTENT_ATTEMPT", attempt.as_str()),
        ];
        variables.extend(job.traceparent().map(|trace| ("TRACEPARENT", trace)));
        match self.program.run(job.payload.get().as_bytes(), &variables, job.cancelled()).await {
            Ok(Ended::Itself(finished)) => result(finished),
            Ok(Ended::TimedOut(complaint)) => {
                let limit = self.program.time.unwrap_or_default().as_secs_f64();
                Err(and_said(format!("It did not end within {limit} s, and was ended."), &complaint))
            }
            Ok(Ended::TooMuchOutput(complaint)) => {
                let why = format!("It printed more than {} bytes, and was ended.", self.program.output);
                Err(and_said(why, &complaint))
            }
            Ok(Ended::Cancelled) => Err(STOPPED.to_owned()),
            Err(error) => Err(not_started(&error)),
        }
    }
}

/// A claim does not tell who may see an intent, its status does. What is not known counts as public.
async fn known_to_be_private(job: &Job<Box<RawValue>>) -> Result<(), String> {
    match job.client().status(job.id()).await {
        Ok(status) if status.visibility.as_deref() == Some("private") => Ok(()),
        Ok(_) => Err("This worker runs a shell, and takes no public intents.".to_owned()),
        Err(error) => {
            Err(format!("This worker runs a shell, and could not find out whether the intent is private: {error}"))
        }
    }
}

fn not_started(error: &io::Error) -> String {
    format!("It could not be started: {error}")
}

/// Why it was ended, and the last lines of its standard error.
fn and_said(why: String, complaint: &[u8]) -> String {
    let said = last_lines(complaint, REASON - why.len());
    if said.is_empty() { why } else { format!("{why} {said}") }
}

/// What was printed, if all went well; else why not.
fn result(finished: Finished) -> Result<Outcome, String> {
    let Finished { status, output, complaint } = finished;
    if !status.success() {
        let said = last_lines(&complaint, REASON);
        // On Unix "exit status: 3" or "signal: 9 (SIGKILL)".
        return Err(if said.is_empty() { format!("{status}") } else { format!("{status}: {said}") });
    }
    let output = String::from_utf8(output).map_err(|_| "What it printed is not UTF-8.".to_owned())?;
    let trimmed = output.trim_ascii();
    if trimmed.is_empty() {
        return Ok(Outcome::Done);
    }
    match RawValue::from_string(trimmed.to_owned()) {
        Ok(value) if json::depth(value.get()) > MAX_DEPTH => {
            Err(format!("What it printed is JSON with more than {MAX_DEPTH} levels, which the bus does not take."))
        }
        Ok(value) => Ok(Outcome::Json(value)),
        Err(_) => Ok(Outcome::text(output.trim_end_matches(['\n', '\r']))),
    }
}

/// The last lines, so many letters in all; of a single longer one, its end.
fn last_lines(bytes: &[u8], letters: usize) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim();
    let skipped = text.chars().count().saturating_sub(letters);
    let end: String = text.chars().skip(skipped).collect();
    match end.split_once('\n') {
        // The first line has lost its beginning.
        Some((_, whole)) if skipped > 0 => whole.to_owned(),
        _ => end,
    }
}

#[cfg(test)]
#[allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::{os::unix::process::ExitStatusExt, process::ExitStatus};

    use super::*;

    fn ended(code: i32, output: &[u8], complaint: &str) -> Result<Outcome, String> {
        let status = ExitStatus::from_raw(code << 8);
        result(Finished { status, output: output.to_vec(), complaint: complaint.into() })
    }

    #[test]
    fn what_is_printed_is_json_if_it_is_json_and_text_else() {
        let json = |output: &[u8]| match ended(0, output, "").unwrap() {
            Outcome::Json(value) => value.get().to_owned(),
            other => panic!("{other:?}"),
        };
        assert_eq!(json(b" {\"n\": 1e400}\n"), r#"{"n": 1e400}"#);
        assert_eq!(json(b"17\n"), "17");
        let text = |output: &[u8]| match ended(0, output, "").unwrap() {
            Outcome::Text(text) => text,
            other => panic!("{other:?}"),
        };
        assert_eq!(text(b"  two words\n\n"), "  two words");
        assert_eq!(text(b"{\"a\": 1}\n{\"a\": 2}\n"), "{\"a\": 1}\n{\"a\": 2}");
        assert!(matches!(ended(0, b"\n", "a warning").unwrap(), Outcome::Done));
        assert!(ended(0, b"\xff", "").unwrap_err().contains("UTF-8"));
        let deep = format!("{}{}", "[".repeat(11), "]".repeat(11));
        assert!(ended(0, deep.as_bytes(), "").unwrap_err().contains("levels"));
    }

    #[test]
    fn a_failure_says_the_status_and_the_end_of_what_was_said() {
        assert_eq!(ended(3, b"half", "first\nno such file\n").unwrap_err(), "exit status: 3: first\nno such file");
        assert_eq!(ended(1, b"", "").unwrap_err(), "exit status: 1");
        let long = format!("{}\nthe end", "é".repeat(1000));
        assert_eq!(ended(1, b"", &long).unwrap_err(), "exit status: 1: the end");
        assert_eq!(last_lines("é".repeat(1000).as_bytes(), 10), "é".repeat(10));
    }
}
