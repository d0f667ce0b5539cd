//! A worker with two goals. Stop it with Ctrl-C: what runs is finished first.
//!
//! ```text
//! INTENT_BUS_URL=http://127.0.0.1:5000 INTENT_API_KEY=… cargo run -p intent-bus-client --example worker
//! ```

use std::time::Duration;

use intent_bus_client::{IntentClient, Job, Outcome, Worker};
use serde::Deserialize;

#[derive(Deserialize)]
struct Person {
    name: String,
}

/// What it gives is the result; an error fails the attempt, and the bus gives the intent out again after a pause.
async fn greet(job: Job<Person>) -> Result<String, &'static str> {
    if job.payload.name.is_empty() {
        return Err("there is nobody to greet");
    }
    Ok(format!("hello, {}", job.payload.name))
}

/// Payloads are what somebody else wrote: look before you act.
async fn notify(job: Job<serde_json::Value>) -> Result<Outcome, std::io::Error> {
    match job.payload["message"].as_str() {
        Some(message) if message.len() <= 200 => Ok(Outcome::text(format!("told: {message}"))),
        _ => Ok(Outcome::reject("a message of 1 to 200 bytes is wanted")),
    }
}

#[tokio::main]
async fn main() -> intent_bus_client::Result<()> {
    tracing_subscriber::fmt().init();
    Worker::new(IntentClient::from_env()?)
        .goal("greet", greet)
        .goal("notify", notify)
        .concurrency(8)
        .handler_timeout(Duration::from_secs(300))
        .drain_timeout(Duration::from_secs(25))
        .run()
        .await
}
