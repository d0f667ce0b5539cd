//! `intent-bus status`: what has become of an intent.

use clap::Args;
use intent_bus_client::{IntentState, IntentStatus};
use serde::Serialize;

use super::{
    bus::Bus,
    exit::{Exit, Failure},
    output::{self, CAREFUL, GOOD, NAME, WRONG, moment},
};

/// Which intent.
#[derive(Args)]
pub struct Arguments {
    /// The intent.
    id: String,
    #[command(flatten)]
    pub(super) bus: Bus,
}

/// A status in JSON, with the names of the protocol.
#[derive(Serialize)]
pub(super) struct Told<'a> {
    id: &'a str,
    namespace: Option<&'a str>,
    goal: Option<&'a str>,
    status: String,
    priority: Option<i32>,
    visibility: Option<&'a str>,
    claim_attempts: Option<i32>,
    run_at: Option<f64>,
    claim_expires_at: Option<f64>,
    target_worker: Option<&'a str>,
    required_capability: Option<&'a str>,
    completed_at: Option<f64>,
    last_error: Option<&'a str>,
}

impl<'a> From<&'a IntentStatus> for Told<'a> {
    fn from(status: &'a IntentStatus) -> Self {
        Self {
            id: &status.id,
            namespace: status.namespace.as_deref(),
            goal: status.goal.as_deref(),
            status: status.state.to_string(),
            priority: status.priority,
            visibility: status.visibility.as_deref(),
            claim_attempts: status.attempts,
            run_at: status.run_at,
            claim_expires_at: status.claim_expires_at,
            target_worker: status.target_worker.as_deref(),
            required_capability: status.required_capability.as_deref(),
            completed_at: status.completed_at,
            last_error: status.last_error.as_deref(),
        }
    }
}

pub(super) async fn run(arguments: Arguments) -> Result<Exit, Failure> {
    let status = arguments.bus.client()?.status(&arguments.id).await?;
    if arguments.bus.json {
        output::json(&Told::from(&status))?;
        return Ok(Exit::Done);
    }
    let colour = match status.state {
        IntentState::Fulfilled => GOOD,
        IntentState::Dead => WRONG,
        IntentState::Claimed => CAREFUL,
        _ => NAME,
    };
    output::say(format_args!("{}  {colour}{}{colour:#}", status.id, status.state))?;
    output::fields(&[
        ("goal", status.goal),
        ("namespace", status.namespace),
        ("visibility", status.visibility),
        ("priority", status.priority.map(|priority| priority.to_string())),
        ("attempts", status.attempts.map(|attempts| attempts.to_string())),
        ("due", status.run_at.map(moment)),
        ("lease until", status.claim_expires_at.map(moment)),
        ("target", status.target_worker),
        ("capability", status.required_capability),
        ("ended", status.completed_at.map(moment)),
        ("error", status.last_error),
    ])?;
    Ok(Exit::Done)
}
