//! How many run, what is claimed for them, and how their ends leave together.

use std::{sync::Arc, sync::Mutex, sync::atomic::AtomicUsize, sync::atomic::Ordering, time::Duration};

use intent_bus_client::{Error, Job, Worker};
use serde_json::{Value, json as value};
use tokio::sync::{Notify, Semaphore};

use super::{finished, hands_out, intent};
use crate::stub::{Reply, Stub, empty, json};

#[tokio::test]
async fn as_many_are_claimed_as_slots_are_free_and_never_more_run() {
    let intents = (0..20).map(|id| intent(id, &value!(id), 60)).collect();
    let stub = Stub::start(hands_out(intents)).await;
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let gate = Arc::new(Semaphore::new(0));
    let handler = {
        let (running, most, gate) = (Arc::clone(&running), Arc::clone(&most), Arc::clone(&gate));
        move |_: Job<usize>| {
            let (running, most, gate) = (Arc::clone(&running), Arc::clone(&most), Arc::clone(&gate));
            async move {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                gate.acquire().await.unwrap().forget();
                running.fetch_sub(1, Ordering::SeqCst);
                Ok::<_, Error>(())
            }
        }
    };
    let told = async {
        while running.load(Ordering::SeqCst) < 8 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        gate.add_permits(20);
        while finished(&stub).len() < 20 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let worker = Worker::new(stub.client()).goal("g", handler).concurrency(8);
    tokio::time::timeout(Duration::from_secs(10), worker.run_until(told)).await.expect("all end").unwrap();
    assert_eq!(most.load(Ordering::SeqCst), 8);
    assert_eq!(stub.seen()[0].query.split('&').find(|pair| pair.starts_with("limit")), Some("limit=8"));
    let mut ids = finished(&stub);
    ids.sort();
    assert_eq!(ids, (0..20).map(|id| format!("{id:02}")).collect::<Vec<_>>(), "each once");
}

#[tokio::test]
async fn ends_that_come_together_leave_together_and_a_lone_one_leaves_at_once() {
    let hands_out = hands_out((0..8).map(|id| intent(id, &value!(id), 60)).collect());
    let first_has_left = Arc::new(Semaphore::new(0));
    let others = Arc::clone(&first_has_left);
    let stub = Stub::start(move |seen| match seen.what.as_str() {
        // The first is under way while the others end.
        "POST /fulfill/00" => {
            others.add_permits(7);
            Reply::Late(Duration::from_millis(200), Box::new(json(200, value!({"ok": true}))))
        }
        _ => hands_out(seen),
    })
    .await;
    let handler = move |job: Job<usize>| {
        let first_has_left = Arc::clone(&first_has_left);
        async move {
            if job.payload > 0 {
                first_has_left.acquire().await.unwrap().forget();
            }
            Ok::<_, Error>(())
        }
    };
    let all = async {
        while finished(&stub).len() < 8 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let worker = Worker::new(stub.client()).goal("g", handler).concurrency(8);
    tokio::time::timeout(Duration::from_secs(10), worker.run_until(all)).await.expect("all end").unwrap();
    let ends: Vec<_> = stub.requests().into_iter().filter(|what| what.starts_with("POST /fulfill")).collect();
    assert_eq!(ends, ["POST /fulfill/00", "POST /fulfill"]);
}

#[tokio::test]
async fn a_batch_of_ends_whose_answer_was_lost_is_resolved_one_by_one() {
    let hands_out = hands_out((0..4).map(|id| intent(id, &value!(id), 60)).collect());
    let stub = Stub::start(move |seen| match (seen.what.as_str(), seen.nth) {
        ("POST /fulfill", 0) => Reply::Lost,
        // All were done at the first try but the last, which another worker has by now.
        ("POST /fulfill", _) => {
            let claims = seen.json()["claims"].as_array().unwrap().clone();
            let over = |claim: &Value| value!({"id": claim["id"], "error": {"code": "not_found", "message": "m"}});
            json(200, value!({"outcomes": claims.iter().map(over).collect::<Vec<_>>()}))
        }
        (what, _) if what.starts_with("POST /fulfill/") => {
            Reply::Late(Duration::from_millis(100), Box::new(json(200, value!({"ok": true}))))
        }
        (what, _) if what.starts_with("GET /status/") => {
            let (id, attempts) = (what.trim_start_matches("GET /status/"), if what.ends_with('3') { 2 } else { 1 });
            json(200, value!({"id": id, "status": "fulfilled", "claim_attempts": attempts}))
        }
        _ => hands_out(seen),
    })
    .await;
    let asked = async {
        while stub.requests().iter().filter(|what| what.starts_with("GET /status/")).count() < 3 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let handler = |_: Job<usize>| async { Ok::<_, Error>(()) };
    let worker = Worker::new(stub.client()).goal("g", handler).concurrency(4);
    tokio::time::timeout(Duration::from_secs(10), worker.run_until(asked)).await.expect("all are asked for").unwrap();
    assert_eq!(stub.requests().iter().filter(|what| *what == "POST /fulfill").count(), 2, "{:?}", stub.requests());
}

#[tokio::test]
async fn several_goals_share_the_slots() {
    let stub = Stub::start(|seen| {
        let goal = if seen.query.contains("goal=a") { "a" } else { "b" };
        match (seen.what.as_str(), goal) {
            // Always something to do for the one, and now and then for the other.
            ("POST /claim", "a") => {
                let mut one = intent(seen.nth, &value!("a"), 60);
                one["goal"] = "a".into();
                Reply::Late(Duration::from_millis(5), Box::new(json(200, one)))
            }
            ("POST /claim", _) if seen.nth % 5 == 4 => json(200, intent(seen.nth, &value!("b"), 60)),
            ("POST /claim", _) => empty("0"),
            _ => json(200, value!({"ok": true})),
        }
    })
    .await;
    let done = Arc::new(Mutex::new(Vec::new()));
    let (enough, told) = (Arc::new(Notify::new()), Arc::clone(&done));
    let heard = Arc::clone(&enough);
    let handler = move |job: Job<String>| {
        let mut done = told.lock().unwrap();
        done.push(job.payload);
        if done.iter().filter(|goal| *goal == "b").count() >= 2 {
            heard.notify_one();
        }
        async { Ok::<_, Error>(()) }
    };
    let worker = Worker::new(stub.client()).goal("a", handler.clone()).goal("b", handler).concurrency(2);
    tokio::time::timeout(Duration::from_secs(20), worker.run_until(enough.notified()))
        .await
        .expect("b starves")
        .unwrap();
    assert!(done.lock().unwrap().iter().any(|goal| goal == "a"));
}
