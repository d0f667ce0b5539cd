//! How a command ends: the status for scripts, and the words for people.

use std::{io, process::ExitCode, time::Duration};

use intent_bus_client::Error;
use serde_json::json;

use super::output::{self, WRONG};

/// The table of docs/cli.md, as `--help` shows it.
pub const TABLE: &str = "\
Ends with
  0  done
  1  something else went wrong; the message says what
  2  the arguments are wrong, or there is no key; nothing was done
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

impl Exit {
    /// The word for it in JSON, where the bus gives none.
    fn code(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::Unreachable => "unreachable",
            Self::Denied => "denied",
            Self::NotFound => "not_found",
            Self::Dead => "dead",
            Self::Unfinished => "unfinished",
            Self::TooMuch => "too_much",
            Self::Conflict => "conflict",
        }
    }
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
    /// The name of the request in the log of the bus, if one was sent.
    request_id: Option<String>,
    /// When the bus wants to be asked again.
    retry_after: Option<Duration>,
    /// Whether it is a fault of the bus, of which its log knows more.
    log_knows_more: bool,
}

impl Failure {
    pub(super) fn new(exit: Exit, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { exit, code: None, message, request_id: None, retry_after: None, log_knows_more: false }
    }

    /// The arguments are wrong.
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// What it says.
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// The same with another message, if it says that who asks is not known.
    pub(super) fn if_unknown(mut self, message: impl Into<String>) -> Self {
        if self.code.as_deref() == Some("unauthorized") {
            self.message = message.into();
        }
        self
    }

    /// The same, about one of several things. What would befall the others as well is an error instead.
    ///
    /// # Errors
    /// The bus cannot be reached, or does not let this caller in.
    pub(super) fn about(mut self, name: &str) -> Result<Self, Self> {
        if matches!(self.exit, Exit::Unreachable | Exit::Denied | Exit::TooMuch) {
            return Err(self);
        }
        self.message = format!("{name}: {}", self.message);
        Ok(self)
    }

    /// Says it on standard error, and gives the status to end with.
    pub(super) fn tell(&self, as_json: bool) -> ExitCode {
        if self.exit == Exit::Done {
            return self.exit.into();
        }
        if as_json {
            output::complain(json!({"error": {
                "code": self.code.as_deref().unwrap_or(self.exit.code()),
                "message": self.message,
                "request_id": self.request_id,
                "retry_after": self.retry_after.map(|time| time.as_secs_f64()),
            }}));
        } else {
            output::complain(format_args!(
                "{WRONG}intent-bus:{WRONG:#} {}",
                output::printable_lines(&self.message).trim_end()
            ));
            if let Some(id) = self.request_id.as_ref().filter(|_| self.log_knows_more) {
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
                // What the bus says of a goal, a name or a payload that it does not take.
                400 | 413 => Exit::Usage,
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
        let retry_after = error.retry_after();
        let message = match error.refusal() {
            Some(refusal) if !refusal.message().is_empty() => {
                let when = retry_after.map(|time| format!(" Try again in {} s.", time.as_secs_f64().ceil()));
                format!("{}{}{advice}", refusal.message(), when.unwrap_or_default())
            }
            _ => format!("{}.{advice}", error.to_string().trim_end_matches('.')),
        };
        Self {
            exit,
            code: error.code().map(ToOwned::to_owned),
            message,
            request_id: error.request_id().map(ToOwned::to_owned),
            retry_after,
            log_knows_more: exit == Exit::Unreachable && error.refusal().is_some(),
        }
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
        let all = [
            Exit::Done,
            Exit::Failed,
            Exit::Usage,
            Exit::Unreachable,
            Exit::Denied,
            Exit::NotFound,
            Exit::Dead,
            Exit::Unfinished,
            Exit::TooMuch,
            Exit::Conflict,
        ];
        let document = include_str!("../../docs/cli.md");
        for (line, exit) in TABLE.lines().skip(1).zip(all) {
            let (status, meaning) = line.trim().split_once("  ").unwrap_or_default();
            assert_eq!(status, (exit as u8).to_string());
            let code = if exit == Exit::Done { String::new() } else { format!("`{}` ", exit.code()) };
            let row = format!("| {status} | {meaning} | {code}|");
            assert!(document.contains(&row), "docs/cli.md lacks {row}");
        }
    }
}
