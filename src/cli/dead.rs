//! `intent-bus dead`: what operators do with intents that were given up.

use clap::{Args, Subcommand};
use intent_bus_client::admin::{Admin, Search, wire::FoundIntent};
use serde_json::json;

use super::{
    bus::{Bus, Operator},
    exit::{Exit, Failure},
    output::{self, moment, printable},
};

/// What is done.
#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    act: Act,
    #[command(flatten)]
    operator: Operator,
    #[command(flatten)]
    pub(super) bus: Bus,
}

#[derive(Subcommand)]
enum Act {
    /// Those that died last come first.
    List(List),
    /// Gives intents out again, at once and with all their attempts.
    Retry {
        /// The intents.
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
    /// Why one died, and its payload.
    Show {
        /// The intent.
        id: String,
    },
}

#[derive(Args)]
struct List {
    /// With this goal.
    #[arg(long)]
    goal: Option<String>,
    /// In this namespace.
    #[arg(long)]
    namespace: Option<String>,
    /// With this in its error.
    #[arg(long, value_name = "TEXT")]
    error: Option<String>,
    /// Dead letters on a page, 1 to 200.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
    /// Go on where the page before has ended; it says how.
    #[arg(long, value_name = "PLACE")]
    before: Option<String>,
}

pub(super) async fn run(arguments: Arguments) -> Result<Exit, Failure> {
    let admin = arguments.operator.admin(&arguments.bus)?;
    let done = act(arguments.act, &admin, arguments.bus.json).await;
    done.map_err(|failure| failure.if_unknown(arguments.operator.refused()))
}

async fn act(act: Act, admin: &Admin, json: bool) -> Result<Exit, Failure> {
    match act {
        Act::List(List { goal, namespace, error, limit, before }) => {
            let state = Some("dead".to_owned());
            let search = Search { goal, namespace, error, state, limit: Some(limit), before, ..Search::default() };
            let found = admin.search(&search).await?;
            if json {
                output::json(&found)?;
                return Ok(Exit::Done);
            }
            let rows: Vec<Vec<String>> = found.intents.iter().map(row).collect();
            output::table(&["INTENT", "DIED", "ATTEMPTS", "NAMESPACE", "GOAL", "ERROR"], &rows)?;
            if let Some(next) = found.next {
                output::complain(format_args!("There may be more: --before {next}"));
            }
        }
        Act::Retry { ids } => {
            // Each is one act: one that cannot be done stands in the way of no other.
            let mut failed: Option<Failure> = None;
            for id in ids {
                if let Err(error) = admin.retry(&id).await {
                    if let Some(before) = failed.replace(Failure::from(error).about(&id)?) {
                        before.tell(json);
                    }
                    continue;
                }
                if json {
                    output::json(&json!({"ok": true, "id": id, "status": "open"}))?;
                } else {
                    output::complain(format_args!("{} is open again.", printable(&id)));
                }
            }
            return failed.map_or(Ok(Exit::Done), Err);
        }
        Act::Show { id } => {
            let detail = admin.dead_letter(&id).await?;
            if json {
                output::json(&detail)?;
                return Ok(Exit::Done);
            }
            let letter = detail.letter;
            output::fields(&[
                ("intent", Some(letter.intent_id)),
                ("goal", Some(letter.goal)),
                ("namespace", Some(letter.namespace)),
                ("attempts", Some(letter.attempts.to_string())),
                ("died", Some(moment(letter.created_at))),
                ("reason", Some(letter.reason)),
                ("payload", Some(detail.payload.get().to_owned())),
            ])?;
        }
    }
    Ok(Exit::Done)
}

fn row(intent: &FoundIntent) -> Vec<String> {
    vec![
        intent.id.clone(),
        intent.completed_at.map_or_else(|| "-".to_owned(), moment),
        format!("{}/{}", intent.claim_attempts, intent.max_attempts),
        intent.namespace.clone(),
        printable(&intent.goal),
        intent.last_error.as_deref().map(printable).unwrap_or_default(),
    ]
}
