//! `intent-bus keys`: what operators do with API keys. A key is shown when it is made, and never again.

use std::time::Duration;

use clap::{Args, Subcommand};
use intent_bus_client::admin::{
    Admin, NewKey, Page,
    wire::{GeneratedKey, KeyDetail},
};
use serde_json::json;

use super::{
    bus::{Bus, Operator},
    duration,
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
    /// All about keys but the keys, the newest first.
    List {
        /// Keys on a page, 1 to 200.
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200))]
        limit: u32,
        /// Go on where the page before has ended; it says how.
        #[arg(long, value_name = "PLACE")]
        before: Option<String>,
    },
    /// Makes a key and prints it.
    Create(Create),
    /// Makes a key that reaches what this one does. This one ends after a while.
    Rotate {
        /// The number of the key.
        number: i64,
        /// How long both can be used, 30 days at most.
        #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "1d")]
        overlap: Duration,
    },
    /// Ends a key. Within a second no replica takes it any more.
    Revoke {
        /// The number of the key.
        number: i64,
    },
}

#[derive(Args)]
struct Create {
    /// Who the new tenant is.
    #[arg(required_unless_present = "tenant", conflicts_with = "tenant")]
    owner: Option<String>,
    /// The number of a tenant that gets one more key.
    #[arg(long, value_name = "NUMBER")]
    tenant: Option<i64>,
    /// What it may be used for: publish, work, read, values. Everything unless told otherwise.
    #[arg(long, value_name = "WORDS", value_delimiter = ',')]
    scopes: Option<Vec<String>>,
    /// In which namespaces. In all unless told otherwise.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    namespaces: Option<Vec<String>>,
    /// After what time it ends by itself: 12h, 90d.
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    expires_in: Option<Duration>,
    /// Requests of the new tenant in a minute.
    #[arg(long, value_name = "N", conflicts_with = "tenant")]
    rate_limit: Option<u32>,
    /// Unfinished intents of the new tenant.
    #[arg(long, value_name = "N", conflicts_with = "tenant")]
    max_open: Option<u32>,
}

pub(super) async fn run(arguments: Arguments) -> Result<Exit, Failure> {
    let admin = arguments.operator.admin(&arguments.bus)?;
    let done = act(arguments.act, &admin, arguments.bus.json).await;
    done.map_err(|failure| failure.if_unknown(arguments.operator.refused()))
}

async fn act(act: Act, admin: &Admin, json: bool) -> Result<Exit, Failure> {
    match act {
        Act::List { limit, before } => {
            let keys = admin.keys(&Page { limit: Some(limit), before }).await?;
            if json {
                output::json(&keys)?;
                return Ok(Exit::Done);
            }
            let rows: Vec<Vec<String>> = keys.keys.iter().map(row).collect();
            output::table(&["NUMBER", "TENANT", "OWNER", "STATE", "UNTIL", "SCOPES", "NAMESPACES", "OPEN"], &rows)?;
            if let Some(next) = keys.next {
                output::complain(format_args!("There are more: --before {next}"));
            }
        }
        Act::Create(create) => {
            let key = NewKey {
                owner: create.owner,
                tenant: create.tenant,
                scopes: create.scopes,
                namespaces: create.namespaces,
                expires_in: create.expires_in.map(|time| time.as_secs()),
                rate_limit_per_minute: create.rate_limit,
                max_open_intents: create.max_open,
            };
            show(&admin.create_key(&key).await?, json)?;
        }
        Act::Rotate { number, overlap } => show(&admin.rotate_key(number, overlap).await?, json)?,
        Act::Revoke { number } => {
            admin.revoke_key(number).await?;
            if json {
                output::json(&json!({"ok": true, "id": number}))?;
            }
        }
    }
    Ok(Exit::Done)
}

/// The key alone on standard output, so that it can go into a file without anybody seeing it.
fn show(key: &GeneratedKey, json: bool) -> Result<(), Failure> {
    if json {
        return Ok(output::json(key)?);
    }
    output::complain(format_args!(
        "Key {} of tenant {} ({}). It is shown this once.",
        key.id,
        key.tenant,
        printable(&key.owner)
    ));
    Ok(output::say(&key.api_key)?)
}

fn row(key: &KeyDetail) -> Vec<String> {
    let state = match (key.revoked_at, key.valid) {
        (Some(_), _) => "revoked",
        (None, false) => "over",
        (None, true) => "valid",
    };
    let all = |words: &Option<Vec<String>>| words.as_ref().map_or_else(|| "all".to_owned(), |words| words.join(","));
    vec![
        key.id.to_string(),
        key.tenant.to_string(),
        printable(&key.owner),
        state.to_owned(),
        key.expires_at.map_or_else(|| "-".to_owned(), moment),
        all(&key.scopes),
        all(&key.namespaces),
        key.open_intents.to_string(),
    ]
}
