//! `intent-bus publish`: one intent, with the payload byte for byte as it was given.

use std::{
    fs,
    io::{self, Read},
    time::Duration,
};

use clap::Args;
use intent_bus_client::RawValue;
use serde_json::json;

use super::{
    bus::Bus,
    duration,
    exit::{Exit, Failure},
    output, result,
};

/// What is published.
#[derive(Args)]
pub struct Arguments {
    /// What kind of work it is.
    goal: String,
    /// The payload: JSON, `@FILE` with JSON in it, or `-` for standard input.
    #[arg(value_name = "JSON|@FILE|-", default_value = "{}", allow_negative_numbers = true)]
    payload: String,
    /// The namespace: up to 64 letters, digits, `_`, `.` and `-`.
    #[arg(long)]
    namespace: Option<String>,
    /// The higher is claimed first, 0 to 1000. 100 unless told otherwise.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1000))]
    priority: Option<u32>,
    /// Not to be claimed before so long: 90, 1.5s, 10m, 2h, 1d.
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    delay: Option<Duration>,
    /// Let every worker with a key claim it, whosever it is. No secrets in such a payload.
    #[arg(long)]
    public: bool,
    /// The only worker that may claim it.
    #[arg(long, value_name = "WORKER")]
    target: Option<String>,
    /// What a worker must be able to do to claim it.
    #[arg(long, value_name = "WORD")]
    capability: Option<String>,
    /// How often it may be claimed, 1 to 20. 3 unless told otherwise.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=20))]
    max_attempts: Option<u32>,
    /// The same key and payload once more publish nothing new. One is made up if none is given.
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Wait until it is done, and print its result instead of its id; for so long at most, if told.
    #[arg(long, value_name = "TIME", value_parser = duration::parse, num_args = 0..=1, require_equals = true, default_missing_value = result::LONGEST_WAIT)]
    wait: Option<Duration>,
    #[command(flatten)]
    pub(super) bus: Bus,
}

pub(super) async fn run(arguments: Arguments) -> Result<Exit, Failure> {
    let payload = payload(&arguments.payload)?;
    let client = arguments.bus.client()?;
    let mut publish = client.publish_json(arguments.goal, payload);
    if let Some(namespace) = arguments.namespace {
        publish = publish.namespace(namespace);
    }
    if let Some(priority) = arguments.priority {
        publish = publish.priority(priority);
    }
    if let Some(delay) = arguments.delay {
        publish = publish.delay(delay);
    }
    if arguments.public {
        publish = publish.public();
    }
    if let Some(target) = arguments.target {
        publish = publish.target_worker(target);
    }
    if let Some(capability) = arguments.capability {
        publish = publish.required_capability(capability);
    }
    if let Some(attempts) = arguments.max_attempts {
        publish = publish.max_attempts(attempts);
    }
    if let Some(key) = arguments.idempotency_key {
        publish = publish.idempotency_key(key);
    }
    let published = publish.await?;
    let Some(wait) = arguments.wait else {
        if arguments.bus.json {
            output::json(&json!({"id": published.id, "namespace": published.namespace}))?;
        } else {
            output::say(&published.id)?;
        }
        return Ok(Exit::Done);
    };
    // Whoever waits for too long can still ask for it.
    if !arguments.bus.json {
        output::complain(format_args!("{}", published.id));
    }
    result::wait(&client, &published.id, wait, arguments.bus.json).await
}

/// The payload as it was given, if it is JSON.
fn payload(argument: &str) -> Result<Box<RawValue>, Failure> {
    let (text, from) = match argument.strip_prefix('@') {
        Some(file) => (read(fs::read(file), file)?, file),
        None if argument == "-" => {
            let mut bytes = Vec::new();
            let taken = io::stdin().read_to_end(&mut bytes).map(|_| bytes);
            (read(taken, "standard input")?, "standard input")
        }
        None => (argument.to_owned(), "the payload"),
    };
    serde_json::from_str(&text).map_err(|error| Failure::usage(pointed_out(&text, from, &error)))
}

fn read(bytes: io::Result<Vec<u8>>, from: &str) -> Result<String, Failure> {
    let bytes = bytes.map_err(|error| Failure::usage(format!("{from} cannot be read: {error}.")))?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Failure::usage(format!("{from} is no JSON: byte {} is not of UTF-8.", at + 1))
    })
}

/// The fault, the line that it is in, and a mark under it.
fn pointed_out(text: &str, from: &str, error: &serde_json::Error) -> String {
    /// Bytes that are shown before the mark.
    const BEFORE: usize = 60;
    /// Bytes that are shown behind it.
    const AFTER: usize = 20;
    let line = text.lines().nth(error.line().saturating_sub(1)).unwrap_or_default().as_bytes();
    // A column counts bytes, and the fault may stand within a letter or behind the end.
    let at = error.column().min(line.len());
    let (before, after) = line.split_at(at);
    let shown = |bytes: &[u8]| output::printable(&String::from_utf8_lossy(bytes));
    let before = shown(&before[at.saturating_sub(BEFORE)..]);
    let after = shown(&after[..after.len().min(AFTER)]);
    let mark = before.chars().count().max(1);
    format!("{from} is no JSON: {error}\n  {before}{after}\n  {:>mark$}", "^")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_taken_byte_for_byte() {
        for text in [r#"{ "n": 1e400, "s":"\ud800" }"#, "-5", "null", r#""$(reboot) 'x' \n""#] {
            assert_eq!(payload(text).unwrap().get(), text);
        }
    }

    #[test]
    fn what_is_no_json_is_pointed_at() {
        let text = "{\n  \"é\": 1,\n  \"b\" 2\n}";
        let error = serde_json::from_str::<Box<RawValue>>(text).unwrap_err();
        assert_eq!(
            pointed_out(text, "the payload", &error),
            "the payload is no JSON: expected `:` at line 3 column 7\n    \"b\" 2\n        ^"
        );
        for text in ["", "{", "\"é", "{'a': 1}", "é"] {
            let error = serde_json::from_str::<Box<RawValue>>(text).unwrap_err();
            assert!(pointed_out(text, "-", &error).ends_with('^'), "{text}");
        }
    }
}
