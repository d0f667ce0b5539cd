//! `intent-bus publish`: one intent, with the payload byte for byte as it was given.

use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::{
    bus::Bus,
    duration,
    exit::{Exit, Failure},
    input::Input,
    output, result,
};

/// What is published.
#[derive(Args)]
pub struct Arguments {
    /// What kind of work it is.
    goal: String,
    /// The payload: JSON, `@FILE` with JSON in it, or `-` for standard input.
    #[arg(value_name = "JSON|@FILE|-", default_value = "{}")]
    payload: String,
    /// The namespace: up to 64 letters, digits, `_`, `.` and `-`.
    #[arg(long)]
    namespace: Option<String>,
    /// The higher is claimed first, 0 to 1000. 100 unless told otherwise.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1000))]
    priority: Option<u32>,
    /// Not to be claimed before so long: 90, 1.5s, 10m, 2h, 1d.
    #[arg(long, value_name = "TIME", value_parser = duration::parse, allow_hyphen_values = true)]
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
    let payload = Input::read(&arguments.payload, "the payload")?.json()?;
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
