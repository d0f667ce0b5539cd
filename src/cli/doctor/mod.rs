//! `intent-bus doctor`: looks for what is wrong between this machine and the bus, and says what to do about it.
//!
//! `checks` makes the findings, `network` reads out of a connection that failed why it did. Here they are told.

mod checks;
mod network;

use clap::Args;
use serde::Serialize;
use serde_json::json;

use super::{
    bus::{Bus, Operator},
    exit::{Exit, Failure},
    output::{self, CAREFUL, GOOD, WRONG},
};

/// What is looked at.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    operator: Operator,
    #[command(flatten)]
    pub(super) bus: Bus,
}

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Good,
    /// It works, but not as it should.
    Careful,
    Bad,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    name: &'static str,
    state: State,
    message: String,
    /// What to do.
    advice: Option<String>,
    /// What the command ends with, if this is bad.
    #[serde(skip)]
    exit: Exit,
}

impl Finding {
    fn good(name: &'static str, message: impl Into<String>) -> Self {
        Self { name, state: State::Good, message: message.into(), advice: None, exit: Exit::Done }
    }

    fn careful(name: &'static str, message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { state: State::Careful, advice: Some(advice.into()), ..Self::good(name, message) }
    }

    fn bad(name: &'static str, exit: Exit, message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { state: State::Bad, advice: Some(advice.into()), exit, ..Self::good(name, message) }
    }
}

pub(super) async fn run(arguments: Arguments) -> Result<Exit, Failure> {
    let findings = checks::all(&arguments.bus, &arguments.operator).await?;
    // The first is the cause of those that follow, as a rule.
    let worst = findings.iter().find(|finding| finding.state == State::Bad);
    let exit = worst.map_or(Exit::Done, |finding| finding.exit);
    if arguments.bus.json {
        output::json(&json!({"ok": worst.is_none(), "findings": findings}))?;
        return Ok(exit);
    }
    for Finding { name, state, message, advice, .. } in &findings {
        let (word, colour) = match state {
            State::Good => ("good", GOOD),
            State::Careful => ("look", CAREFUL),
            State::Bad => ("bad ", WRONG),
        };
        output::say(format_args!("{colour}{word}{colour:#}  {name:10}  {}", output::printable(message)))?;
        if let Some(advice) = advice {
            output::say(format_args!("{:18}{}", "", output::printable(advice)))?;
        }
    }
    Ok(exit)
}
