//! Publishes an intent for the worker of the other example, and waits for its result.
//!
//! ```text
//! INTENT_BUS_URL=http://127.0.0.1:5000 INTENT_API_KEY=… cargo run -p intent-bus-client --example publisher -- Ada
//! ```

#![allow(clippy::print_stdout, reason = "what it is for")]

use std::{env, time::Duration};

use intent_bus_client::{IntentClient, IntentState};

#[tokio::main]
async fn main() -> intent_bus_client::Result<()> {
    let name = env::args().nth(1).unwrap_or_else(|| "world".to_owned());
    let bus = IntentClient::from_env()?;
    let published = bus.publish("greet", &serde_json::json!({"name": name})).max_attempts(2).await?;
    let done = bus.wait_for_result(&published.id, Duration::from_secs(60)).await?;
    match done.status.state {
        IntentState::Fulfilled => println!("{}", done.value::<String>()?.unwrap_or_default()),
        _ => println!("given up: {}", done.error.unwrap_or_default()),
    }
    Ok(())
}
