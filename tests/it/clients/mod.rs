//! The Rust client and its worker against the real bus: alone, killed, told to stop, with the bus away, and together with the
//! Python SDK.

mod admin;
mod flow;
mod lost;
mod outage;
mod python;
mod stopping;
mod traces;
mod worker;

use std::{net::SocketAddr, time::Duration};

use intent_bus_client::{IntentClient, IntentState, RetryPolicy};

use crate::support::{TestApp, app::ROOT};

/// For anything that a test waits for.
const PATIENCE: Duration = Duration::from_secs(30);

/// A client with the root key that is patient and comes back soon.
fn client_at(address: SocketAddr) -> IntentClient {
    let retry = RetryPolicy::default().attempts(1000).longest_pause(Duration::from_millis(500)).patience(PATIENCE * 2);
    let builder = IntentClient::builder().base_url(format!("http://{address}")).api_key(ROOT).retry(retry);
    builder.build().expect("a client")
}

fn client(app: &TestApp) -> IntentClient {
    client_at(app.address)
}

/// Waits until all of these are fulfilled. Gives how often each was claimed.
async fn fulfilled(bus: &IntentClient, ids: &[String]) -> Vec<i32> {
    let mut attempts = Vec::new();
    for id in ids {
        let done = bus.wait_for_result(id, PATIENCE).await.expect("a result");
        assert_eq!(done.status.state, IntentState::Fulfilled, "{done:?}");
        attempts.push(done.status.attempts.expect("a number of attempts"));
    }
    attempts
}
