//! A program without async: publishes, and shares a value.
//!
//! ```text
//! INTENT_BUS_URL=http://127.0.0.1:5000 INTENT_API_KEY=… \
//!     cargo run -p intent-bus-client --features blocking --example blocking
//! ```

#![allow(clippy::print_stdout, reason = "what it is for")]

use std::time::Duration;

use intent_bus_client::blocking::IntentClient;

fn main() -> intent_bus_client::Result<()> {
    let bus = IntentClient::from_env()?;
    bus.wait(|bus| bus.set("node/1", "active", Some(Duration::from_secs(60))))?;
    println!("node/1 is {:?}", bus.wait(|bus| bus.get("node/1"))?);
    let published = bus.wait(|bus| bus.publish("greet", &serde_json::json!({"name": "Ada"})).priority(500))?;
    println!("published {}", published.id);
    Ok(())
}
