//! What only real processes show: replicas that race, stop and lose their database; `dev` and what it leaves behind; clients
//! in Python; bytes that no client sends; what `bench` reports. Also a network that loses things.

mod bench;
mod check;
mod cluster;
mod dev;
mod drain;
mod hostile;
mod outage;
mod pooled;
mod proxy;
mod pulse;
pub(crate) mod python;
mod wire;

use std::{
    io::Write,
    time::{Duration, Instant},
};

use crate::support::process::Replica;

/// Says a figure on the terminal, in a run that passes too: libtest keeps back only what the print macros write.
pub(crate) fn tell(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Asks again and again for what no signal tells.
pub(crate) async fn until(what: &str, within: Duration, mut done: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + within;
    while !done().await {
        assert!(Instant::now() < deadline, "not within {within:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Its log has no fault, and nothing that is no log line: a panic.
#[track_caller]
fn without_faults(replica: &Replica) {
    let faults: Vec<_> =
        replica.logs().into_iter().filter(|line| line["level"] == "ERROR" || line.is_string()).collect();
    assert!(faults.is_empty(), "{faults:#?}");
}
