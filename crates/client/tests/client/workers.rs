//! The worker against a server that a test makes up: what becomes of each way in which a handler can end, leases, batches,
//! faults, and its own end.

mod ends;
mod handlers;
mod leases;
mod requests;
mod slots;
mod stopping;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use intent_bus_client::Worker;
use serde_json::{Value, json as value};

use crate::stub::{Reply, Seen, Stub, empty, json};

/// An intent as it is claimed, with a lease of so many seconds.
pub(super) fn intent(id: usize, payload: &Value, lease: u64) -> Value {
    value!({"id": format!("{id:02}"), "namespace": "default", "goal": "g", "payload": payload, "claim_attempts": 1,
        "priority": 100, "target_worker": null, "required_capability": null, "claim_token": format!("t{id}"),
        "claim_timeout": lease})
}

/// A claim that finds nothing, as a bus answers it that has waited.
pub(super) fn nothing() -> Reply {
    Reply::Late(Duration::from_millis(300), Box::new(empty("0")))
}

/// Hands these out, as many as are asked for, and says yes to everything else.
pub(super) fn hands_out(intents: Vec<Value>) -> impl Fn(&Seen) -> Reply {
    let left = Mutex::new(intents);
    move |seen| match seen.what.as_str() {
        "POST /claim" => {
            let mut left = left.lock().unwrap();
            let limit = seen.query.split('&').find_map(|pair| pair.strip_prefix("limit=")?.parse::<usize>().ok());
            let count = limit.unwrap_or(1).min(left.len());
            let given: Vec<Value> = left.drain(..count).collect();
            match (given.as_slice(), limit) {
                ([], _) => nothing(),
                ([one], None) => json(200, one),
                (many, _) => json(200, value!({"intents": many})),
            }
        }
        "POST /fulfill" | "POST /fail" => {
            let claims = seen.json()["claims"].as_array().unwrap().clone();
            let outcome = |claim: &Value| value!({"ok": true, "id": claim["id"], "status": "open"});
            json(200, value!({"outcomes": claims.iter().map(outcome).collect::<Vec<_>>()}))
        }
        _ => json(200, value!({"ok": true, "status": "open"})),
    }
}

/// Runs one intent with this payload through a handler, and gives the finish that was sent.
pub(super) async fn finish_of(payload: Value, worker: impl FnOnce(Worker) -> Worker) -> Seen {
    let stub = Stub::start(hands_out(vec![intent(1, &payload, 60)])).await;
    let ended = async {
        while !stub.requests().iter().any(|what| what.starts_with("POST /f")) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let worker = worker(Worker::new(stub.client()).poll_wait(Duration::from_secs(1)));
    tokio::time::timeout(Duration::from_secs(10), worker.run_until(ended)).await.expect("it ends").unwrap();
    stub.seen().into_iter().find(|seen| seen.what.starts_with("POST /f")).unwrap()
}

/// Says when it is dropped.
pub(super) struct OnDrop(pub(super) Arc<AtomicBool>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The ids of all that were fulfilled, alone or together.
pub(super) fn finished(stub: &Stub) -> Vec<String> {
    let id = |claim: &Value| claim["id"].as_str().unwrap().to_owned();
    stub.seen()
        .iter()
        .flat_map(|seen| match seen.what.strip_prefix("POST /fulfill") {
            Some("") => seen.json()["claims"].as_array().unwrap().iter().map(id).collect(),
            Some(one) => vec![one.trim_start_matches('/').to_owned()],
            None => Vec::new(),
        })
        .collect()
}
