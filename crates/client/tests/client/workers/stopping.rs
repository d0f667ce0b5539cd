//! How a worker ends.

use std::{future::pending, sync::Arc, time::Duration, time::Instant};

use intent_bus_client::{Error, Job, Worker};
use serde_json::json as value;
use tokio::sync::Notify;

use super::{hands_out, intent, nothing};
use crate::stub::{Reply, Stub, json};

#[tokio::test]
async fn told_to_stop_it_claims_no_more_and_lets_handlers_end() {
    let stub = Stub::start(hands_out((0..9).map(|id| intent(id, &value!(id), 60)).collect())).await;
    let (started, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let handler = {
        let (started, go) = (Arc::clone(&started), Arc::clone(&go));
        move |_: Job<usize>| {
            let (started, go) = (Arc::clone(&started), Arc::clone(&go));
            async move {
                started.notify_one();
                go.notified().await;
                Ok::<_, Error>("done")
            }
        }
    };
    let stop = async {
        started.notified().await;
        // The handler goes on only after the worker was told.
        let go = Arc::clone(&go);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            go.notify_one();
        });
    };
    Worker::new(stub.client()).goal("g", handler).run_until(stop).await.unwrap();
    assert_eq!(stub.requests(), ["POST /claim", "POST /fulfill/00"]);
}

#[tokio::test]
async fn handlers_that_do_not_end_in_time_fail_so_that_others_can_try_at_once() {
    let stub = Stub::start(hands_out(vec![intent(1, &value!(1), 60)])).await;
    let started = Arc::new(Notify::new());
    let told = Arc::clone(&started);
    let handler = move |_: Job<u8>| {
        told.notify_one();
        pending::<Result<(), Error>>()
    };
    let worker = Worker::new(stub.client()).goal("g", handler).drain_timeout(Duration::from_millis(50));
    let began = Instant::now();
    worker.run_until(started.notified()).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(5));
    let sent = stub.seen().pop().unwrap();
    assert_eq!(
        (sent.what.as_str(), &sent.json()["error"]),
        ("POST /fail/01", &value!("The worker was stopped before its handler had ended."))
    );
}

#[tokio::test]
async fn a_claim_under_way_at_the_end_is_worked_off_if_its_answer_comes() {
    let stub = Stub::start(|seen| match (seen.what.as_str(), seen.nth) {
        ("POST /claim", 0) => Reply::Late(Duration::from_millis(300), Box::new(json(200, intent(1, &value!(1), 60)))),
        ("POST /claim", _) => nothing(),
        _ => json(200, value!({"ok": true})),
    })
    .await;
    let worker = Worker::new(stub.client()).goal("g", |_: Job<u8>| async { Ok::<_, Error>(()) });
    worker.run_until(stub.until("POST /claim", 1)).await.unwrap();
    assert_eq!(stub.requests(), ["POST /claim", "POST /fulfill/01"]);
}
