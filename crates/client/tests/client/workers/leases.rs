//! Leases: extended, lost, over.

use std::{
    future::pending, sync::Arc, sync::atomic::AtomicBool, sync::atomic::AtomicUsize, sync::atomic::Ordering,
    time::Duration,
};

use intent_bus_client::{Error, Job, Worker};
use serde_json::json as value;

use super::{OnDrop, hands_out, intent, nothing};
use crate::stub::{Seen, Stub, json, refused};

#[tokio::test]
async fn a_lease_is_extended_again_and_again_while_the_handler_runs() {
    let stub = Stub::start(hands_out(vec![intent(1, &value!(1), 1)])).await;
    let handler = |_: Job<u8>| async {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        Ok::<_, Error>(())
    };
    let worker = Worker::new(stub.client()).goal("g", handler);
    worker.run_until(stub.until("POST /fulfill/01", 1)).await.unwrap();
    let extensions: Vec<_> =
        stub.seen().iter().filter(|seen| seen.what == "POST /extend_claim/01").map(Seen::json).collect();
    // A lease of 1 s; the bus takes 10 s at least, which is enough for the rest.
    assert_eq!(extensions, [value!({"claim_token": "t1", "seconds": 10})]);
}

#[tokio::test]
async fn what_is_left_of_a_lease_is_extended_by_a_whole_one() {
    let stub = Stub::start(hands_out(vec![intent(1, &value!(0), 30), intent(2, &value!(800), 1)])).await;
    let handler = |job: Job<u64>| async move {
        tokio::time::sleep(Duration::from_millis(job.payload)).await;
        Ok::<_, Error>(())
    };
    Worker::new(stub.client()).goal("g", handler).at_most(2).run_until(pending()).await.unwrap();
    let extensions: Vec<_> =
        stub.seen().iter().filter(|seen| seen.what == "POST /extend_claim/02").map(Seen::json).collect();
    assert_eq!(extensions, [value!({"claim_token": "t2", "seconds": 30})]);
}

#[tokio::test]
async fn a_handler_whose_lease_is_lost_is_dropped_and_nothing_is_told() {
    let given = Arc::new(AtomicUsize::new(0));
    let stub = Stub::start(move |seen| match seen.what.as_str() {
        "POST /claim" if given.fetch_add(1, Ordering::Relaxed) == 0 => json(200, intent(1, &value!(1), 1)),
        "POST /claim" => nothing(),
        "POST /extend_claim/01" => refused(404, "not_found"),
        // Somebody else has claimed it.
        "GET /status/01" => json(200, value!({"id": "01", "status": "claimed", "claim_attempts": 2})),
        _ => panic!("{seen:?}"),
    })
    .await;
    let dropped = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&dropped);
    let handler = move |_: Job<u8>| {
        let guard = OnDrop(Arc::clone(&flag));
        async move {
            let _guard = guard;
            pending::<Result<(), Error>>().await
        }
    };
    let gone = async {
        while !dropped.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let worker = Worker::new(stub.client()).goal("g", handler).poll_wait(Duration::from_secs(1));
    tokio::time::timeout(Duration::from_secs(10), worker.run_until(gone)).await.expect("it was dropped").unwrap();
    assert!(!stub.requests().iter().any(|what| what.starts_with("POST /f")), "{:?}", stub.requests());
}

#[tokio::test]
async fn a_lease_that_ended_with_nobody_after_it_lets_the_handler_finish() {
    let given = Arc::new(AtomicUsize::new(0));
    let stub = Stub::start(move |seen| match seen.what.as_str() {
        "POST /claim" if given.fetch_add(1, Ordering::Relaxed) == 0 => json(200, intent(1, &value!(1), 1)),
        "POST /claim" => nothing(),
        "POST /extend_claim/01" => refused(404, "not_found"),
        "GET /status/01" => json(200, value!({"id": "01", "status": "open", "claim_attempts": 1})),
        _ => json(200, value!({"ok": true})),
    })
    .await;
    let handler = |_: Job<u8>| async {
        tokio::time::sleep(Duration::from_millis(1300)).await;
        Ok::<_, Error>(())
    };
    let worker = Worker::new(stub.client()).goal("g", handler);
    worker.run_until(stub.until("POST /fulfill/01", 1)).await.unwrap();
    assert!(stub.requests().contains(&"GET /status/01".to_owned()));
}

#[tokio::test]
async fn the_last_attempt_may_finish_although_its_lease_has_ended() {
    let stub = Stub::start(move |seen| match (seen.what.as_str(), seen.nth) {
        ("POST /claim", 0) => json(200, intent(1, &value!(1), 1)),
        ("POST /claim", _) => nothing(),
        ("POST /extend_claim/01", _) => refused(404, "not_found"),
        // No attempt is left, so it is shown as dead; it is not given up yet.
        ("GET /status/01", _) => {
            json(200, value!({"id": "01", "status": "dead", "claim_attempts": 1, "completed_at": null}))
        }
        _ => json(200, value!({"ok": true})),
    })
    .await;
    let handler = |_: Job<u8>| async {
        tokio::time::sleep(Duration::from_millis(1300)).await;
        Ok::<_, Error>(())
    };
    Worker::new(stub.client()).goal("g", handler).at_most(1).run_until(pending()).await.unwrap();
    assert!(stub.requests().contains(&"GET /status/01".to_owned()));
    assert_eq!(stub.requests().last().map(String::as_str), Some("POST /fulfill/01"));
}

#[tokio::test]
async fn the_lease_is_extended_until_the_end_is_told() {
    let extended = AtomicBool::new(false);
    let hands_out = hands_out(vec![intent(1, &value!(1), 1)]);
    let stub = Stub::start(move |seen| match seen.what.as_str() {
        "POST /extend_claim/01" => {
            extended.store(true, Ordering::SeqCst);
            json(200, value!({"ok": true}))
        }
        "POST /fulfill/01" if !extended.load(Ordering::SeqCst) => refused(500, "internal_error"),
        _ => hands_out(seen),
    })
    .await;
    let worker = Worker::new(stub.client()).goal("g", |_: Job<u8>| async { Ok::<_, Error>(()) }).at_most(1);
    tokio::time::timeout(Duration::from_secs(10), worker.run_until(pending())).await.expect("it is told").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_handler_that_keeps_its_thread_keeps_its_lease() {
    let stub = Stub::start(hands_out(vec![intent(1, &value!(1), 1)])).await;
    let handler = |_: Job<u8>| async {
        std::thread::sleep(Duration::from_millis(1500));
        Ok::<_, Error>(())
    };
    Worker::new(stub.client()).goal("g", handler).at_most(1).run_until(pending()).await.unwrap();
    let mut requests = stub.requests();
    requests.retain(|what| what != "POST /claim");
    assert_eq!(requests, ["POST /extend_claim/01", "POST /fulfill/01"]);
}
