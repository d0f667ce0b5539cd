//! What a worker asks and says, and what it makes of faults.

use std::{future::pending, sync::Arc, sync::atomic::AtomicUsize, sync::atomic::Ordering, time::Duration};

use intent_bus_client::{Error, Job, Worker};
use serde_json::json as value;

use super::{hands_out, intent};
use crate::stub::{Reply, Stub, empty, json, refused};

#[tokio::test]
async fn a_wrong_key_ends_the_worker_and_a_bus_that_is_away_does_not() {
    let stub = Stub::start(|seen| match seen.nth {
        0 => Reply::Lost,
        1 => refused(503, "database_busy"),
        2 => json(502, "<html>Bad Gateway</html>"),
        3 => json(404, "<html>default backend</html>"),
        4 => json(403, "<html>forbidden</html>"),
        _ => refused(401, "unauthorized"),
    })
    .await;
    let worker = Worker::new(stub.client()).goal("g", |_: Job<u8>| async { Ok::<_, Error>(()) });
    let ended = tokio::time::timeout(Duration::from_secs(10), worker.run_until(pending())).await.expect("it ends");
    assert!(matches!(ended, Err(Error::Auth(_))), "{ended:?}");
    assert_eq!(stub.requests().len(), 6);
}

#[tokio::test]
async fn an_end_that_the_bus_is_away_for_is_told_when_it_is_back() {
    let hands_out = hands_out(vec![intent(1, &value!(1), 60)]);
    let stub = Stub::start(move |seen| match (seen.what.as_str(), seen.nth) {
        ("POST /fulfill/01", 0..20) => Reply::Lost,
        _ => hands_out(seen),
    })
    .await;
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let handler = move |_: Job<u8>| {
        counted.fetch_add(1, Ordering::Relaxed);
        async { Ok::<_, Error>(()) }
    };
    let worker = Worker::new(stub.client()).goal("g", handler);
    worker.run_until(stub.until("POST /fulfill/01", 21)).await.unwrap();
    assert_eq!(runs.load(Ordering::Relaxed), 1, "more tries than a call makes, and one run");
}

#[tokio::test]
async fn the_work_is_a_span_in_the_publishers_trace_and_what_it_publishes_is_too() {
    const PUBLISHED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let mut traced = intent(1, &value!(1), 60);
    traced["traceparent"] = PUBLISHED.into();
    let hands_out = hands_out(vec![traced]);
    let stub = Stub::start(move |seen| match seen.what.as_str() {
        "POST /intent" => json(201, value!({"id": "0b"})),
        _ => hands_out(seen),
    })
    .await;
    let handler = |job: Job<u8>| async move {
        job.client().publish("next", &2).await?;
        Ok::<_, Error>(job.traceparent().map(ToOwned::to_owned))
    };
    Worker::new(stub.client()).goal("g", handler).run_until(stub.until("POST /fulfill/01", 1)).await.unwrap();
    let seen = stub.seen();
    let of = |what: &str| seen.iter().find(|seen| seen.what == what).unwrap();
    let ours = of("POST /fulfill/01").json()["result"].as_str().unwrap().to_owned();
    assert!(ours.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-") && ours != PUBLISHED, "{ours}");
    assert_eq!(of("POST /fulfill/01").headers["traceparent"], ours);
    assert_eq!(of("POST /intent").headers["traceparent"], ours);
    assert!(!of("POST /claim").headers.contains_key("traceparent"));
}

#[tokio::test]
async fn a_worker_says_who_it_is_and_what_it_can_do() {
    let stub = Stub::start(|_| empty("0")).await;
    let worker = Worker::new(stub.client())
        .goal("say hi", |_: Job<u8>| async { Ok::<_, Error>(()) })
        .namespace("images")
        .worker_id("pi-3")
        .capabilities(["gpu", "fast"])
        .poll_wait(Duration::from_secs(7));
    worker.run_until(stub.until("POST /claim", 1)).await.unwrap();
    assert_eq!(stub.seen()[0].query, "goal=say%20hi&namespace=images&worker_id=pi-3&capabilities=gpu%2Cfast&wait=7");
}

#[tokio::test]
async fn a_worker_without_a_goal_is_a_mistake() {
    let stub = Stub::start(|_| empty("0")).await;
    assert!(matches!(Worker::new(stub.client()).run_until(pending()).await, Err(Error::Config(_))));
}
