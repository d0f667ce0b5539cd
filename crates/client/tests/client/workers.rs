//! The worker against a server that a test makes up: what becomes of each way in which a handler can end, leases, batches,
//! faults, and its own end.

use std::{
    future::pending,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use intent_bus_client::{Error, Job, Outcome, RawValue, Worker};
use serde_json::{Value, json as value};
use tokio::sync::{Notify, Semaphore};

use crate::stub::{Reply, Seen, Stub, empty, json, refused};

/// An intent as it is claimed, with a lease of so many seconds.
fn intent(id: usize, payload: &Value, lease: u64) -> Value {
    value!({"id": format!("{id:02}"), "namespace": "default", "goal": "g", "payload": payload, "claim_attempts": 1,
        "priority": 100, "target_worker": null, "required_capability": null, "claim_token": format!("t{id}"),
        "claim_timeout": lease})
}

/// A claim that finds nothing, as a bus answers it that has waited.
fn nothing() -> Reply {
    Reply::Late(Duration::from_millis(300), Box::new(empty("0")))
}

/// Hands these out, as many as are asked for, and says yes to everything else.
fn hands_out(intents: Vec<Value>) -> impl Fn(&Seen) -> Reply {
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
async fn finish_of(payload: Value, worker: impl FnOnce(Worker) -> Worker) -> Seen {
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

struct OnDrop(Arc<AtomicBool>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

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

/// The ids of all that were fulfilled, alone or together.
fn finished(stub: &Stub) -> Vec<String> {
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

#[tokio::test]
async fn a_wrong_key_ends_the_worker_and_a_bus_that_is_away_does_not() {
    let stub = Stub::start(|seen| match seen.nth {
        0 => Reply::Lost,
        1 => refused(503, "database_busy"),
        2 => json(502, "<html>Bad Gateway</html>"),
        _ => refused(401, "unauthorized"),
    })
    .await;
    let worker = Worker::new(stub.client()).goal("g", |_: Job<u8>| async { Ok::<_, Error>(()) });
    let ended = tokio::time::timeout(Duration::from_secs(10), worker.run_until(pending())).await.expect("it ends");
    assert!(matches!(ended, Err(Error::Auth(_))), "{ended:?}");
    assert_eq!(stub.requests().len(), 4);
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
