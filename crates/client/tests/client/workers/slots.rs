//! How many run, what is claimed for them, and how their ends leave together.

use std::{sync::Arc, sync::Mutex, sync::atomic::AtomicUsize, sync::atomic::Ordering, time::Duration};

use intent_bus_client::{Ended, Error, Fate, Job, Worker};
use serde_json::{Value, json as value};
use tokio::sync::{Notify, Semaphore};

use super::{finished, hands_out, intent};
use crate::stub::{Reply, Stub, empty, json, refused};

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

#[tokio::test]
async fn an_end_that_does_not_get_through_holds_up_no_other() {
    let hands_out = hands_out((0..3).map(|id| intent(id, &value!(id), 60)).collect());
    let others = AtomicUsize::new(0);
    let stub = Stub::start(move |seen| match seen.what.as_str() {
        "POST /fulfill/00" if others.load(Ordering::SeqCst) < 2 => refused(500, "internal_error"),
        "POST /fulfill/01" | "POST /fulfill/02" => {
            others.fetch_add(1, Ordering::SeqCst);
            hands_out(seen)
        }
        "POST /fulfill" => {
            others.fetch_add(seen.json()["claims"].as_array().unwrap().len(), Ordering::SeqCst);
            hands_out(seen)
        }
        _ => hands_out(seen),
    })
    .await;
    let handler = |_: Job<usize>| async { Ok::<_, Error>(()) };
    let worker = Worker::new(stub.client()).goal("g", handler).at_most(3).run_until(std::future::pending());
    tokio::time::timeout(Duration::from_secs(10), worker).await.expect("the others are told").unwrap();
}

#[tokio::test]
async fn a_batch_that_may_have_been_done_is_asked_for_also_if_it_is_refused_later() {
    let hands_out = hands_out((0..4).map(|id| intent(id, &value!(id), 60)).collect());
    let stub = Stub::start(move |seen| match (seen.what.as_str(), seen.nth) {
        // Done, but nobody hears of it; and then there is a server that knows no such request.
        ("POST /fulfill", 0) => Reply::Lost,
        ("POST /fulfill", _) => refused(404, "not_found"),
        (what, nth) if what.starts_with("POST /fulfill/") => match nth {
            0 if what.ends_with('0') => {
                Reply::Late(Duration::from_millis(100), Box::new(json(200, value!({"ok": true}))))
            }
            _ => refused(404, "not_found"),
        },
        (what, _) if what.starts_with("GET /status/") => {
            let id = what.trim_start_matches("GET /status/");
            json(200, value!({"id": id, "status": "fulfilled", "claim_attempts": 1}))
        }
        _ => hands_out(seen),
    })
    .await;
    let lost = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&lost);
    let hook = move |ended: &Ended| {
        if !matches!(ended.fate(), Fate::Fulfilled) {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    };
    let first = Arc::new(Semaphore::new(0));
    let handler = move |job: Job<usize>| {
        let first = Arc::clone(&first);
        async move {
            if job.payload == 0 {
                first.add_permits(3);
            } else {
                first.acquire().await.unwrap().forget();
            }
            Ok::<_, Error>(())
        }
    };
    let worker = Worker::new(stub.client()).goal("g", handler).concurrency(4).at_most(4).on_end(hook);
    tokio::time::timeout(Duration::from_secs(10), worker.run_until(std::future::pending())).await.unwrap().unwrap();
    assert_eq!(lost.load(Ordering::SeqCst), 0, "{:?}", stub.requests());
    assert!(stub.requests().contains(&"POST /fulfill".to_owned()), "else this is about nothing");
}

#[tokio::test]
async fn nothing_is_left_only_when_no_goal_brings_work_for_another() {
    let (brought, looks) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (published, looked) = (Arc::clone(&brought), Arc::clone(&looks));
    let given = AtomicUsize::new(0);
    let stub = Stub::start(move |seen| match seen.what.as_str() {
        "POST /claim" if seen.query.contains("goal=b") => {
            if given.fetch_add(1, Ordering::SeqCst) == 0 {
                json(200, intent(2, &value!(2), 60))
            } else {
                empty("0")
            }
        }
        "POST /claim" if published.compare_exchange(1, 2, Ordering::SeqCst, Ordering::SeqCst).is_ok() => {
            json(200, intent(1, &value!(1), 60))
        }
        "POST /claim" => {
            looked.fetch_add(1, Ordering::SeqCst);
            empty("0")
        }
        _ => json(200, value!({"ok": true})),
    })
    .await;
    let first = |_: Job<usize>| async { Ok::<_, Error>(()) };
    let second = move |_: Job<usize>| {
        let (brought, looks) = (Arc::clone(&brought), Arc::clone(&looks));
        async move {
            // The other goal has found nothing by now.
            while looks.load(Ordering::SeqCst) == 0 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            brought.store(1, Ordering::SeqCst);
            Ok::<_, Error>(())
        }
    };
    let worker = Worker::new(stub.client()).goal("a", first).goal("b", second).concurrency(2).until_empty();
    tokio::time::timeout(Duration::from_secs(10), worker.run_until(std::future::pending())).await.unwrap().unwrap();
    assert_eq!(finished(&stub), ["02", "01"]);
}
