//! How a command ends: the status for scripts, and the words for people.

use std::{io, process::ExitCode};

use intent_bus_client::Error;
use serde_json::json;

use super::output::{self, WRONG};

/// The table of docs/cli.md, as `--help` shows it.
pub const TABLE: &str = "\
Ends with
  0  done
  1  something else went wrong; the message says what
  2  the arguments are wrong, or there is no key; nothing was sent
  3  no answer, or the bus is not well: try again later
  4  the key or its signature is refused, or it does not reach this far
  5  there is no such intent, value or key
  6  the intent is dead, or not all that `listen --once` or `--drain` ran is done
  7  the intent is not finished yet
  8  too many requests, or too many unfinished intents
  9  the idempotency key was used for something else, or the state does not allow it";

/// The status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Exit {
    Done = 0,
    Failed = 1,
    Usage = 2,
    Unreachable = 3,
    Denied = 4,
    NotFound = 5,
    Dead = 6,
    Unfinished = 7,
    TooMuch = 8,
    Conflict = 9,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command could not do what it was to do.
#[derive(Debug)]
pub(super) struct Failure {
    exit: Exit,
    /// The code of the bus, where it comes from there.
    code: Option<String>,
    message: String,
    request_id: Option<String>,
}

impl Failure {
    pub(super) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, code: None, message: message.into(), request_id: None }
    }

    /// The arguments are wrong.
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Says it on standard error, and gives the status to end with.
    pub(super) fn tell(&self, as_json: bool) -> ExitCode {
        if as_json {
            let error = json!({"message": self.message, "code": self.code, "request_id": self.request_id});
            output::complain(json!({"error": error}));
        } else if !self.message.is_empty() {
            output::complain(format_args!("{WRONG}intent-bus:{WRONG:#} {}", self.message));
            if let Some(id) = &self.request_id {
                output::complain(format_args!("The log of the bus has it under the request id {id}."));
            }
        }
        self.exit.into()
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let exit = match &error {
            Error::Config(_) | Error::Json(_) => Exit::Usage,
            Error::Auth(_) => Exit::Denied,
            Error::RateLimited(_) => Exit::TooMuch,
            Error::Network(_) | Error::Unavailable(_) => Exit::Unreachable,
            Error::LeaseLost { .. } => Exit::Conflict,
            Error::TimedOut(_) => Exit::Unfinished,
            Error::Refused(refusal) => match refusal.status() {
                404 => Exit::NotFound,
                409 | 422 => Exit::Conflict,
                _ => Exit::Failed,
            },
            _ => Exit::Failed,
        };
        let advice = match exit {
            Exit::Unreachable | Exit::Denied => " `intent-bus doctor` looks for the cause.",
            _ => "",
        };
        let message = match error.refusal() {
            Some(refusal) if !refusal.message().is_empty() => format!("{}{advice}", refusal.message()),
            _ => format!("{error}.{advice}").replace("..", "."),
        };
        // Of a fault of the bus, the log knows more.
        let request_id = (exit == Exit::Unreachable && error.refusal().is_some()).then(|| error.request_id()).flatten();
        let (code, request_id) = (error.code().map(ToOwned::to_owned), request_id.map(ToOwned::to_owned));
        Self { exit, code, message, request_id }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        // Whoever read what we print has read enough: `… | head -1`.
        let exit = if error.kind() == io::ErrorKind::BrokenPipe { Exit::Done } else { Exit::Failed };
        Self::new(exit, if exit == Exit::Done { String::new() } else { error.to_string() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_has_the_table_of_the_help() {
        let document = include_str!("../../docs/cli.md");
        for line in TABLE.lines().skip(1) {
            let (status, meaning) = line.trim().split_once("  ").unwrap_or_default();
            let row = format!("| {status} | {meaning} |");
            assert!(document.contains(&row), "docs/cli.md lacks {row}");
        }
    }
}
