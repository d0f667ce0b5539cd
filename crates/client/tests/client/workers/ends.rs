//! What a program is told: that a handler has to end, and what became of each claim.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use intent_bus_client::{Ended, Error, FailedAs, Fate, Job, Outcome, Worker};
use serde_json::json as value;
use tokio::sync::Notify;

use super::{finished, hands_out, intent, nothing};
use crate::stub::{Seen, Stub, json, refused};

/// Collects what became of each claim, in few words.
fn fates() -> (Arc<Mutex<Vec<String>>>, impl Fn(&Ended) + Send + Sync + 'static) {
    let fates = Arc::<Mutex<Vec<String>>>::default();
    let all = Arc::clone(&fates);
    let hook = move |ended: &Ended| {
        let fate = match ended.fate() {
            Fate::Fulfilled => "fulfilled".to_owned(),
            Fate::Failed { becomes: FailedAs::Retried, reason } => format!("retried: {reason}"),
            Fate::LeaseLost => "lost".to_owned(),
            Fate::Untold(error) => format!("untold: {:?}", error.status()),
            other => format!("{other:?}"),
        };
        all.lock().unwrap().push(format!("{} {fate}", ended.claimed().id()));
    };
    (fates, hook)
}

/// Hands out one intent, and answers everything else by this script.
async fn one(lease: u64, script: impl Fn(&Seen) -> crate::stub::Reply + Send + Sync + 'static) -> Stub {
    Stub::start(move |seen| match (seen.what.as_str(), seen.nth) {
        ("POST /claim", 0) => json(200, intent(1, &value!(1), lease)),
        ("POST /claim", _) => nothing(),
        _ => script(seen),
    })
    .await
}

async fn run(worker: Worker) {
    let ended = tokio::time::timeout(Duration::from_secs(10), worker.run_until(std::future::pending()));
    ended.await.expect("it ends").unwrap();
}

#[tokio::test]
async fn a_worker_with_a_limit_claims_no_more_than_that_and_ends_when_they_are_worked_off() {
    let stub = Stub::start(hands_out((0..9).map(|id| intent(id, &value!(id), 60)).collect())).await;
    let handler = |_: Job<usize>| async { Ok::<_, Error>(()) };
    run(Worker::new(stub.client()).goal("g", handler).goal("h", handler).concurrency(2).at_most(3)).await;
    assert_eq!(finished(&stub).len(), 3, "{:?}", stub.requests());
}

#[tokio::test]
async fn what_became_of_each_claim_is_told_to_the_program() {
    let script = |answer: fn() -> crate::stub::Reply| async move {
        let stub = one(60, move |seen| match seen.what.as_str() {
            "POST /fail/01" => json(200, value!({"ok": true, "status": "open"})),
            _ => answer(),
        })
        .await;
        let (fates, hook) = fates();
        let worker = Worker::new(stub.client()).goal("g", |_: Job<u8>| async { Ok::<_, Error>(()) });
        run(worker.at_most(1).on_end(hook)).await;
        let fates = fates.lock().unwrap();
        fates.join(", ")
    };
    assert_eq!(script(|| json(200, value!({"ok": true}))).await, "01 fulfilled");
    assert_eq!(script(|| refused(404, "not_found")).await, "01 lost");
    assert_eq!(script(|| refused(401, "unauthorized")).await, "01 untold: Some(401)");
    let refused = script(|| refused(413, "payload_too_large")).await;
    assert_eq!(refused, "01 retried: The bus does not take the result: 413 payload_too_large: No.");
}

#[tokio::test]
async fn a_handler_that_is_cancelled_may_still_say_how_it_ended() {
    let stub = Stub::start(hands_out(vec![intent(1, &value!(1), 60)])).await;
    let started = Arc::new(Notify::new());
    let told = Arc::clone(&started);
    let handler = move |job: Job<u8>| {
        told.notify_one();
        async move {
            job.cancelled().await;
            tokio::time::sleep(Duration::from_millis(50)).await;
            Ok::<_, Error>(Outcome::text("half of it"))
        }
    };
    let worker = Worker::new(stub.client()).goal("g", handler);
    let worker = worker.drain_timeout(Duration::from_millis(20)).cancel_grace(Duration::from_secs(60));
    worker.run_until(started.notified()).await.unwrap();
    assert_eq!(stub.seen().pop().unwrap().json()["result"], "half of it");
}

#[tokio::test]
async fn a_handler_that_takes_too_long_is_cancelled_and_dropped_after_its_grace() {
    let stub = Stub::start(hands_out(vec![intent(1, &value!(1), 60)])).await;
    let cancelled = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&cancelled);
    let handler = move |job: Job<u8>| {
        let told = Arc::clone(&told);
        async move {
            job.cancelled().await;
            told.store(true, Ordering::SeqCst);
            std::future::pending::<Result<(), Error>>().await
        }
    };
    let worker = Worker::new(stub.client()).goal("g", handler).at_most(1);
    run(worker.handler_timeout(Duration::from_millis(20)).cancel_grace(Duration::from_millis(20))).await;
    assert!(cancelled.load(Ordering::SeqCst));
    assert_eq!(stub.seen().pop().unwrap().json()["error"], "The handler did not end within 0.02 s.");
}

#[tokio::test]
async fn a_handler_whose_lease_is_lost_keeps_its_slot_while_it_ends() {
    let (given, running) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let stub = Stub::start(move |seen| match seen.what.as_str() {
        "POST /claim" => match given.fetch_add(1, Ordering::SeqCst) {
            id @ 0..2 => json(200, intent(id, &value!(id), 1)),
            _ => nothing(),
        },
        "POST /extend_claim/00" => refused(404, "not_found"),
        "GET /status/00" => json(200, value!({"id": "00", "status": "claimed", "claim_attempts": 2})),
        _ => json(200, value!({"ok": true})),
    })
    .await;
    let handler = move |job: Job<usize>| {
        let running = Arc::clone(&running);
        async move {
            assert_eq!(running.fetch_add(1, Ordering::SeqCst), 0, "beside another one in the same slot");
            if job.payload == 0 {
                job.cancelled().await;
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            running.fetch_sub(1, Ordering::SeqCst);
            Ok::<_, Error>(())
        }
    };
    let (fates, hook) = fates();
    let worker = Worker::new(stub.client()).goal("g", handler).at_most(2).on_end(hook);
    run(worker.cancel_grace(Duration::from_secs(60))).await;
    assert_eq!(*fates.lock().unwrap(), ["00 lost", "01 fulfilled"]);
}
