//! `intent-bus result`: what an intent was fulfilled with.

use std::time::Duration;

use clap::Args;
use intent_bus_client::{Error, IntentClient, IntentResult, IntentState, RawValue};
use serde::Serialize;

use super::{
    bus::Bus,
    duration,
    exit::{Exit, Failure},
    output,
    status::Told,
};

/// How long is waited by a bare `--wait`: as good as for ever.
pub(super) const LONGEST_WAIT: &str = "3650d";

/// Whose result.
#[derive(Args)]
pub struct Arguments {
    /// The intent.
    id: String,
    /// Wait until it is done; for so long at most, if told: 90, 10m, 2h.
    #[arg(long, value_name = "TIME", value_parser = duration::parse, num_args = 0..=1, require_equals = true, default_missing_value = LONGEST_WAIT)]
    wait: Option<Duration>,
    #[command(flatten)]
    pub(super) bus: Bus,
}

/// A result in JSON.
#[derive(Serialize)]
struct Whole<'a> {
    #[serde(flatten)]
    status: Told<'a>,
    result: Option<&'a RawValue>,
    result_type: Option<&'a str>,
    error: Option<&'a str>,
}

pub(super) async fn run(arguments: Arguments) -> Result<Exit, Failure> {
    let client = arguments.bus.client()?;
    match arguments.wait {
        Some(time) => wait(&client, &arguments.id, time, arguments.bus.json).await,
        None => print(&client.result(&arguments.id).await?, arguments.bus.json),
    }
}

/// Waits for a result and prints it.
pub(super) async fn wait(client: &IntentClient, id: &str, time: Duration, json: bool) -> Result<Exit, Failure> {
    match client.wait_for_result(id, time).await {
        Ok(result) => print(&result, json),
        Err(Error::TimedOut(_)) => print(&client.result(id).await?, json),
        Err(error) => Err(error.into()),
    }
}

/// Prints the result alone, so that it can be piped on: text as it is, anything else as its JSON.
fn print(result: &IntentResult, json: bool) -> Result<Exit, Failure> {
    let error = result.error.as_deref().or(result.status.last_error.as_deref());
    if json {
        output::json(&Whole {
            status: Told::from(&result.status),
            result: result.result.as_deref(),
            result_type: result.result_type.as_deref(),
            error: result.error.as_deref(),
        })?;
    }
    match result.status.state {
        IntentState::Fulfilled => {
            if let Some(raw) = result.result.as_ref().filter(|_| !json) {
                // A text with a lone surrogate is no Rust string; it is shown as its JSON.
                let text =
                    (result.result_type.as_deref() == Some("text")).then(|| serde_json::from_str(raw.get()).ok());
                let text: Option<String> = text.flatten();
                output::bytes(text.as_deref().unwrap_or(raw.get()).as_bytes())?;
            }
            Ok(Exit::Done)
        }
        IntentState::Dead => {
            let why = error.unwrap_or("nobody said why");
            Err(Failure::new(Exit::Dead, format!("The intent is dead: {why}")))
        }
        ref state => Err(Failure::new(Exit::Unfinished, format!("The intent is not finished: it is {state}."))),
    }
}
