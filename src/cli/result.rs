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
    let exit = match result.status.state {
        IntentState::Fulfilled => Exit::Done,
        IntentState::Dead => Exit::Dead,
        _ => Exit::Unfinished,
    };
    if json {
        let (status, result_type) = (Told::from(&result.status), result.result_type.as_deref());
        output::json(&Whole { status, result: result.result.as_deref(), result_type })?;
        return Ok(exit);
    }
    match exit {
        Exit::Done => {
            if let Some(raw) = &result.result {
                // A text with a lone surrogate is no Rust string; it is shown as its JSON.
                let text =
                    (result.result_type.as_deref() == Some("text")).then(|| serde_json::from_str(raw.get()).ok());
                let text: Option<String> = text.flatten();
                output::bytes(text.as_deref().unwrap_or(raw.get()).as_bytes())?;
            }
            Ok(exit)
        }
        Exit::Dead => {
            let why = result.error.as_deref().or(result.status.last_error.as_deref()).unwrap_or("nobody said why");
            Err(Failure::new(exit, format!("The intent is dead: {}", output::printable(why))))
        }
        _ => Err(Failure::new(exit, format!("The intent is not finished: it is {}.", result.status.state))),
    }
}
