//! Workers that end: killed in a handler, told to stop, and a handler that takes longer than its lease.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use intent_bus_client::{IntentState, Job, Worker};
use rustix::process::Signal;

use super::{
    client, fulfilled,
    worker::{WorkerProcess, milliseconds, started},
};
use crate::support::TestApp;

#[tokio::test]
async fn an_intent_whose_worker_was_killed_runs_again_elsewhere_after_its_lease() {
    let app = TestApp::with(&[("BUS_CLAIM_TIMEOUT_SECONDS", "2")]).await;
    let bus = client(&app);
    let published = bus.publish("sleep", &milliseconds(Duration::from_secs(60))).backoff_base(Duration::from_secs(1));
    let id = published.await.unwrap().id;
    let mut first = WorkerProcess::start(app.address, 1);
    assert_eq!(first.says(), started(&id, 1));
    let claimed_at = Instant::now();
    first.signal(Signal::KILL);
    assert!(!first.wait().success());

    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let told = Arc::clone(&seen);
    let elsewhere = move |job: Job<u64>| {
        told.lock().unwrap().push((job.id().to_owned(), job.attempt(), claimed_at.elapsed()));
        async { Ok::<_, &str>("elsewhere") }
    };
    let mut attempts = Vec::new();
    let done = async { attempts = fulfilled(&bus, std::slice::from_ref(&id)).await };
    Worker::new(bus.clone()).goal("sleep", elsewhere).run_until(done).await.unwrap();
    let seen = seen.lock().unwrap();
    assert!(matches!(seen.as_slice(), [(other, 2, _)] if *other == id), "{seen:?}");
    // The lease of 2 s has to end first (the claim may have been a little before its line), and the backoff of 2 s after it.
    assert!(seen[0].2 > Duration::from_millis(3500), "{seen:?}");
    assert_eq!(attempts, [2]);
}

#[tokio::test]
async fn a_worker_told_to_stop_ends_its_handlers_and_nothing_is_redelivered() {
    let app = TestApp::with(&[("BUS_CLAIM_TIMEOUT_SECONDS", "2")]).await;
    let bus = client(&app);
    let mut ids = Vec::new();
    // Longer than the lease, which is extended while the worker drains, too.
    for _ in 0..6 {
        ids.push(bus.publish("sleep", &milliseconds(Duration::from_millis(2500))).await.unwrap().id);
    }
    let mut worker = WorkerProcess::start(app.address, 4);
    for _ in 0..4 {
        assert!(worker.says().starts_with("started "));
    }
    worker.signal(Signal::TERM);
    let said = worker.last_words();
    assert!(worker.wait().success(), "{said:?}");
    assert_eq!(said.last().map(String::as_str), Some("drained"));
    assert_eq!(said.iter().filter(|line| line.starts_with("ended ")).count(), 4, "{said:?}");
    assert!(!said.iter().any(|line| line.starts_with("started ")), "{said:?}");
    assert_eq!(fulfilled(&bus, &ids[..4]).await, [1; 4]);
    for id in &ids[4..] {
        let status = bus.status(id).await.unwrap();
        assert_eq!((status.state, status.attempts), (IntentState::Open, Some(0)), "never given out");
    }
}

#[tokio::test]
async fn a_worker_that_ends_by_itself_lets_its_handler_end_when_it_is_told_to_stop_once() {
    let app = TestApp::spawn().await;
    let bus = client(&app);
    let id = bus.publish("sleep", &milliseconds(Duration::from_millis(1500))).await.unwrap().id;
    let mut worker = WorkerProcess::start_for(app.address, 1);
    assert_eq!(worker.says(), started(&id, 1));
    worker.signal(Signal::TERM);
    assert_eq!(worker.last_words(), [format!("ended {id} 1"), "drained".to_owned()]);
    assert!(worker.wait().success());
    assert_eq!(fulfilled(&bus, &[id]).await, [1]);
}

#[tokio::test]
async fn a_worker_told_to_stop_twice_fails_what_runs_and_ends() {
    let app = TestApp::spawn().await;
    let bus = client(&app);
    let id = bus.publish("sleep", &milliseconds(Duration::from_secs(60))).await.unwrap().id;
    let mut worker = WorkerProcess::start(app.address, 1);
    assert_eq!(worker.says(), started(&id, 1));
    let began = Instant::now();
    // Two of one kind may arrive as one.
    worker.signal(Signal::TERM);
    worker.signal(Signal::INT);
    assert_eq!(worker.last_words(), ["drained"]);
    assert!(worker.wait().success());
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    let status = bus.status(&id).await.unwrap();
    assert_eq!(status.state, IntentState::Open);
    assert_eq!(status.last_error.as_deref(), Some("The worker was stopped before its handler had ended."));
}

#[tokio::test]
async fn an_idle_worker_told_to_stop_ends_at_once_and_takes_nothing_along() {
    let app = TestApp::spawn().await;
    let bus = client(&app);
    let id = bus.publish("sleep", &0).await.unwrap().id;
    let mut worker = WorkerProcess::start(app.address, 1);
    assert_eq!([worker.says(), worker.says()], [started(&id, 1), format!("ended {id} 1")]);
    fulfilled(&bus, &[id]).await;
    // Now it waits for the next one, for up to 20 s.
    let began = Instant::now();
    worker.signal(Signal::TERM);
    assert_eq!(worker.last_words(), ["drained"]);
    assert!(worker.wait().success());
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    let id = bus.publish("sleep", &0).await.unwrap().id;
    let claimed = bus.claim("sleep").wait(Duration::from_secs(5)).await.unwrap();
    assert_eq!(claimed.map(|claimed| claimed.id().to_owned()), Some(id), "the claim that it left behind took nothing");
}

#[tokio::test]
async fn a_handler_of_three_leases_keeps_its_lease_and_runs_once() {
    let app = TestApp::with(&[("BUS_CLAIM_TIMEOUT_SECONDS", "3")]).await;
    let bus = client(&app);
    let published = bus.publish("long", &1).backoff_base(Duration::from_secs(1)).await.unwrap();
    let runs = Arc::new(AtomicUsize::new(0));
    // Two workers, so that the second takes it when the first has lost it: after the lease of 3 s, and the backoff of 2 to 4 s.
    let worker = || {
        let runs = Arc::clone(&runs);
        let long = move |_: Job<u8>| {
            runs.fetch_add(1, Ordering::SeqCst);
            async {
                tokio::time::sleep(Duration::from_secs(9)).await;
                Ok::<_, &str>("done")
            }
        };
        Worker::new(bus.clone()).goal("long", long)
    };
    let done = || async { fulfilled(&bus, std::slice::from_ref(&published.id)).await };
    let mut attempts = Vec::new();
    let (first, second) = tokio::join!(
        worker().run_until(async { attempts = done().await }),
        worker().run_until(async { drop(done().await) })
    );
    first.and(second).unwrap();
    assert_eq!((attempts, runs.load(Ordering::SeqCst)), (vec![1], 1));
}
