//! `intent-bus get` and `intent-bus set`: small values that publishers and workers of one tenant share for a while.

use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::{
    bus::Bus,
    duration,
    exit::{Exit, Failure},
    input::Input,
    output,
};

/// Which value.
#[derive(Args)]
pub struct Get {
    /// Its key.
    key: String,
    #[command(flatten)]
    pub(super) bus: Bus,
}

/// Which value, and what it is to be.
#[derive(Args)]
pub struct Set {
    /// Its key: 1 to 512 letters, slashes included.
    key: String,
    /// The value, `@FILE` with it, or `-` for standard input. Text, unless `--raw` is given.
    #[arg(value_name = "VALUE|@FILE|-", allow_hyphen_values = true)]
    value: String,
    /// The value is JSON.
    #[arg(long)]
    raw: bool,
    /// How long it lasts, a day at most: 90, 10m, 2h. 10 minutes unless told otherwise.
    #[arg(long, value_name = "TIME", value_parser = duration::parse, allow_hyphen_values = true)]
    ttl: Option<Duration>,
    #[command(flatten)]
    pub(super) bus: Bus,
}

pub(super) async fn get(arguments: Get) -> Result<Exit, Failure> {
    let Some(value) = arguments.bus.client()?.get(&arguments.key).await? else {
        let gone = format!("There is no value under {:?}, or no more.", arguments.key);
        return Err(Failure::new(Exit::NotFound, gone));
    };
    if arguments.bus.json {
        output::json(&json!({"value": value}))?;
    } else {
        output::bytes(value.as_bytes())?;
    }
    Ok(Exit::Done)
}

pub(super) async fn set(arguments: Set) -> Result<Exit, Failure> {
    let value = Input::read(&arguments.value, "the value")?;
    let client = arguments.bus.client()?;
    if arguments.raw {
        client.set(&arguments.key, &value.json()?, arguments.ttl).await?;
    } else {
        client.set(&arguments.key, value.text(), arguments.ttl).await?;
    }
    if arguments.bus.json {
        output::json(&json!({"ok": true}))?;
    }
    Ok(Exit::Done)
}
