//! What becomes of each way in which a handler can end.

use std::{future::pending, sync::Arc, sync::atomic::AtomicBool, sync::atomic::Ordering, time::Duration};

use intent_bus_client::{Error, Job, Outcome, RawValue, Worker};
use serde_json::{Value, json as value};

use super::{OnDrop, finish_of, hands_out, intent, nothing};
use crate::stub::{Seen, Stub, json};

#[tokio::test]
async fn what_a_handler_gives_is_the_result() {
    let sent = finish_of(value!({"n": 3}), |worker| {
        worker.goal("g", |job: Job<Value>| async move {
            Ok::<_, Error>(value!({"twice": job.payload["n"].as_u64().unwrap() * 2}))
        })
    })
    .await;
    assert_eq!(sent.what, "POST /fulfill/01");
    assert_eq!(sent.json(), value!({"claim_token": "t1", "result": {"twice": 6}}));
}

#[tokio::test]
async fn a_raw_handler_passes_bytes_on() {
    let stub = Stub::start(|seen| match (seen.what.as_str(), seen.nth) {
        ("POST /claim", 0) => {
            json(200, r#"{"id":"01","goal":"g","payload":{ "n":1e400 , "s":"\ud800" },"claim_token":"t"}"#)
        }
        ("POST /claim", _) => nothing(),
        _ => json(200, r#"{"ok":true}"#),
    })
    .await;
    let echo = |job: Job<Box<RawValue>>| async move { Ok::<_, Error>(Outcome::Json(job.payload)) };
    Worker::new(stub.client()).goal("g", echo).run_until(stub.until("POST /fulfill/01", 1)).await.unwrap();
    let sent = stub.seen().into_iter().find(|seen| seen.what == "POST /fulfill/01").unwrap();
    assert_eq!(sent.body, r#"{"claim_token":"t","result":{ "n":1e400 , "s":"\ud800" }}"#);
}

#[tokio::test]
async fn texts_and_results_that_are_none_are_told_apart() {
    let text =
        finish_of(value!(1), |worker| worker.goal("g", |_: Job<u8>| async { Ok::<_, Error>(Outcome::text("hi")) }))
            .await;
    assert_eq!(text.json(), value!({"claim_token": "t1", "result": "hi", "result_type": "text"}));
    let done =
        finish_of(value!(1), |worker| worker.goal("g", |_: Job<u8>| async { Ok::<_, Error>(Outcome::Done) })).await;
    assert_eq!(done.json(), value!({"claim_token": "t1"}));
}

#[tokio::test]
async fn an_error_fails_the_attempt_with_all_that_it_comes_from() {
    #[derive(Debug, thiserror::Error)]
    #[error("the picture cannot be read")]
    struct Unreadable(#[source] std::io::Error);
    let sent = finish_of(value!(1), |worker| {
        worker.goal("g", |_: Job<u8>| async { Err::<(), _>(Unreadable(std::io::Error::other("disk on fire"))) })
    })
    .await;
    assert_eq!(sent.what, "POST /fail/01");
    assert_eq!(sent.json(), value!({"claim_token": "t1", "error": "the picture cannot be read: disk on fire"}));
}

#[tokio::test]
async fn a_rejection_fails_the_attempt() {
    let sent = finish_of(value!(1), |worker| {
        worker.goal("g", |_: Job<u8>| async { Ok::<_, Error>(Outcome::reject("there is no message")) })
    })
    .await;
    assert_eq!((sent.what.as_str(), &sent.json()["error"]), ("POST /fail/01", &value!("there is no message")));
}

#[tokio::test]
async fn a_panic_fails_the_attempt_and_the_worker_goes_on() {
    let stub =
        Stub::start(hands_out(vec![intent(1, &value!(1), 60), intent(2, &value!(2), 60), intent(3, &value!(3), 60)]))
            .await;
    let handler = |job: Job<u8>| {
        assert!(job.payload != 1, "before the first await");
        async move {
            tokio::task::yield_now().await;
            assert!(job.payload != 2, "number {} is too much", job.payload);
            Ok::<_, Error>(())
        }
    };
    Worker::new(stub.client()).goal("g", handler).run_until(stub.until("POST /fulfill/03", 1)).await.unwrap();
    let failed: Vec<_> =
        stub.seen().iter().filter(|seen| seen.what.starts_with("POST /fail")).map(Seen::json).collect();
    assert_eq!(failed[0]["error"], "The handler has panicked: before the first await");
    assert_eq!(failed[1]["error"], "The handler has panicked: number 2 is too much");
}

#[tokio::test]
async fn a_payload_of_another_kind_fails_without_a_run() {
    let sent = finish_of(value!("text"), |worker| {
        worker.goal("g", |_: Job<u8>| async { panic!("it ran") as Result<(), Error> })
    })
    .await;
    let error = sent.json()["error"].as_str().unwrap().to_owned();
    assert!(
        sent.what == "POST /fail/01" && error.starts_with("The payload is not what this worker expects"),
        "{error}"
    );
}

#[tokio::test]
async fn a_handler_that_takes_too_long_is_dropped_and_has_failed() {
    let dropped = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&dropped);
    let handler = move |_: Job<u8>| {
        let guard = OnDrop(Arc::clone(&flag));
        async move {
            let _guard = guard;
            pending::<Result<(), Error>>().await
        }
    };
    let sent =
        finish_of(value!(1), |worker| worker.goal("g", handler).handler_timeout(Duration::from_millis(30))).await;
    assert_eq!(
        (sent.what.as_str(), &sent.json()["error"]),
        ("POST /fail/01", &value!("The handler did not end within 0.03 s."))
    );
    assert!(dropped.load(Ordering::Relaxed));
}
