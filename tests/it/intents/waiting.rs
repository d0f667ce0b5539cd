//! `POST /claim?wait=`: who waits is served when there is something, wherever it comes from, and not before his time is over
//! told that there is nothing.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use intent_bus::server::Stop;
use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::support::{
    Answer, Client, TestApp,
    factory::{intent, intent_with},
};

/// For a wake: far less than the time between two looks.
const AT_ONCE: Duration = Duration::from_millis(150);
/// For what only a look finds: 0.95 s, and some time for a machine that is busy.
const SOON: Duration = Duration::from_secs(1 + 2);

/// The answer, and how long it took.
async fn timed(answer: impl Future<Output = Answer>) -> (Answer, Duration) {
    let began = Instant::now();
    let answer = answer.await;
    (answer, began.elapsed())
}

/// The claim waits, as far as can be told: it has looked and found nothing.
async fn once_it_waits(app: &TestApp, requests_before: i64, claims: i64) {
    app.db.have_asked(requests_before + claims).await;
}

/// Requests that have been let in so far.
async fn asked(app: &TestApp) -> i64 {
    app.db.value("SELECT coalesce(sum(hit), 0)::bigint FROM rate_windows, unnest(hits) AS hit", &[]).await
}

#[tokio::test]
async fn who_does_not_wait_is_told_at_once_that_there_is_nothing() {
    let app = TestApp::spawn().await;
    for target in ["/claim?goal=greet", "/claim?goal=greet&wait=0"] {
        let (answer, took) = timed(app.root().post(target, "")).await;
        answer.empty();
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert!(took < Duration::from_millis(900), "{took:?}");
    }
}

#[tokio::test]
async fn who_waits_is_told_when_his_time_is_over() {
    let app = TestApp::spawn().await;
    let alice = app.tenant("alice").await;
    let before = asked(&app).await;
    let (answer, took) = timed(alice.claim_waiting("greet", 1)).await;
    answer.empty();
    assert!(answer.header("retry-after").is_some());
    assert!(took >= Duration::from_secs(1) && took < SOON, "{took:?}");
    assert_eq!(asked(&app).await, before + 1);
}

#[tokio::test]
async fn what_is_there_is_taken_without_waiting() {
    let app = TestApp::spawn().await;
    app.root().published_many(&vec![intent("greet"); 3]).await;
    let answer = app.root().post("/claim?goal=greet&wait=60&limit=10", "").await;
    assert_eq!(answer.claims().len(), 3);
}

/// How long it takes from a publish by this client until it is in the hands of one who waits: the median of fifteen.
async fn handed_over(app: &TestApp, waiting: &Client, publisher: &Client) -> Duration {
    let mut times = Vec::new();
    for round in 0..15 {
        let before = asked(app).await;
        let publish = async {
            once_it_waits(app, before, 1).await;
            let at = Instant::now();
            let fields = json!({"priority": round});
            (publisher.published(intent_with("greet", fields)).await, at)
        };
        let claim = async { (waiting.claim_waiting("greet", 30).await.claim(), Instant::now()) };
        let ((claim, arrived), (id, at)) = tokio::join!(claim, publish);
        assert_eq!(claim.id, id);
        times.push(arrived.duration_since(at));
    }
    times.sort_unstable();
    times[times.len() / 2]
}

#[tokio::test]
async fn what_is_published_on_the_same_replica_is_handed_over_at_once() {
    let app = TestApp::spawn().await;
    let alice = app.tenant("alice").await;
    let took = handed_over(&app, &alice, &alice).await;
    assert!(took < AT_ONCE, "{took:?}");
}

#[tokio::test]
async fn what_is_published_on_another_replica_is_handed_over_at_once() {
    let app = TestApp::spawn().await;
    let other = app.replica(&[]).await;
    let alice = app.tenant("alice").await;
    let took = handed_over(&app, &alice, &other.client(alice.api_key())).await;
    assert!(took < AT_ONCE, "{took:?}");
}

#[tokio::test]
async fn what_a_worker_of_any_goal_or_anothers_public_intents_waits_for_is_handed_over_too() {
    let app = TestApp::spawn().await;
    let (alice, bob) = (app.tenant("alice").await, app.tenant("bob").await);
    let worker = alice.with("x-worker-id", "pi").with("x-worker-capabilities", "gpu");
    for fields in [
        json!({"visibility": "public"}),
        json!({"visibility": "public", "target_worker": "pi"}),
        json!({"visibility": "public", "required_capability": "gpu", "target_worker": "pi"}),
    ] {
        for target in ["/claim?wait=30", "/claim?goal=greet&wait=30"] {
            let before = asked(&app).await;
            let publish = async {
                once_it_waits(&app, before, 1).await;
                bob.published(intent_with("greet", json!({"visibility": "private"}))).await;
                bob.published(intent_with("greet", fields.clone())).await
            };
            let (answer, id) = tokio::join!(worker.post(target, ""), publish);
            assert_eq!(answer.claim().id, id, "{fields}");
        }
    }
}

#[tokio::test]
async fn without_any_signal_who_waits_is_served_by_the_next_look() {
    let app = TestApp::spawn().await;
    let alice = app.tenant("alice").await;
    let quick = json!({"max_attempts": 20});
    let delayed = alice.published(intent_with("greet", json!({"delay": 3600, "max_attempts": 20}))).await;
    let failed = alice.published(intent_with("greet", quick)).await;
    alice.declaring("7.61").fail(&alice.claimed("greet").await, "no").await.expect(200);
    // A delay that is over, a backoff that is over, a lease that has ended.
    for (id, leased) in [(&delayed, false), (&failed, false), (&delayed, true), (&failed, true)] {
        let before = asked(&app).await;
        let becomes_due = async {
            once_it_waits(&app, before, 1).await;
            if leased {
                app.db.end_lease_and_backoff(id).await;
            } else {
                app.db.make_due(id).await;
            }
            Instant::now()
        };
        let (answer, at) = tokio::join!(alice.claim_waiting("greet", 30), becomes_due);
        assert_eq!(&answer.claim().id, id);
        assert!(at.elapsed() < SOON, "{:?}", at.elapsed());
    }
}

#[tokio::test]
async fn without_the_connection_for_signals_who_waits_is_served_by_the_next_look() {
    let app = TestApp::spawn().await;
    let other = app.replica(&[]).await;
    let alice = app.tenant("alice").await;
    let there = other.client(alice.api_key());
    let deafen = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
         WHERE datname = current_database() AND (query LIKE '%LISTEN%' OR query LIKE '%pg_notify%')
             AND pid <> pg_backend_pid()";
    let listening = async || app.db.value::<i64>(deafen, &[]).await;
    while listening().await == 0 {
        tokio::task::yield_now().await;
    }
    for _ in 0..3 {
        let before = asked(&app).await;
        let publish = async {
            once_it_waits(&app, before, 1).await;
            listening().await;
            (there.published(intent("greet")).await, Instant::now())
        };
        let (answer, (id, at)) = tokio::join!(alice.claim_waiting("greet", 30), publish);
        assert_eq!(answer.claim().id, id);
        assert!(at.elapsed() < SOON, "{:?}", at.elapsed());
    }
    // And the connections come back.
    let sql = "SELECT count(*) FROM pg_stat_activity
         WHERE datname = current_database() AND (query LIKE '%LISTEN%' OR query LIKE '%pg_notify%')
             AND pid <> pg_backend_pid()";
    while app.db.value::<i64>(sql, &[]).await < 2 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let took = handed_over(&app, &alice, &there).await;
    assert!(took < AT_ONCE, "{took:?}");
}

#[tokio::test]
async fn of_two_who_wait_for_one_intent_the_other_goes_on_waiting() {
    let app = TestApp::spawn().await;
    let alice = app.tenant("alice").await;
    let before = asked(&app).await;
    let publish = async {
        once_it_waits(&app, before, 2).await;
        alice.published(intent("greet")).await
    };
    let (first, second, id) =
        tokio::join!(timed(alice.claim_waiting("greet", 5)), timed(alice.claim_waiting("greet", 5)), publish);
    let (served, other) = if first.0.status == 200 { (first, second) } else { (second, first) };
    assert_eq!(served.0.claim().id, id);
    assert!(served.1 < Duration::from_secs(5), "{:?}", served.1);
    other.0.empty();
    assert!(other.1 >= Duration::from_secs(5), "{:?}", other.1);
    // The one that was served has made the other look once more, which is no request of its own.
    assert_eq!(asked(&app).await, before + 3);
}

#[tokio::test]
async fn as_many_are_served_as_there_are_intents() {
    let app = TestApp::spawn().await;
    let other = app.replica(&[]).await;
    let alice = app.tenant("alice").await;
    let there = other.client(alice.api_key());
    let before = asked(&app).await;
    let publish = async {
        once_it_waits(&app, before, 12).await;
        let ids = alice.published_many(&vec![intent("greet"); 9]).await;
        (ids.into_iter().collect::<BTreeSet<_>>(), Instant::now())
    };
    let waiting = join_all((0..12).map(async |number| {
        let answer = if number % 2 == 0 { &alice } else { &there }.claim_waiting("greet", 5).await;
        (answer, Instant::now())
    }));
    let (answers, (ids, at)) = tokio::join!(waiting, publish);
    let served: Vec<_> = answers.iter().filter(|(answer, _)| answer.status == 200).collect();
    assert_eq!(served.iter().map(|(answer, _)| answer.claim().id).collect::<BTreeSet<_>>(), ids);
    assert_eq!(served.len(), 9);
    for (_, arrived) in served {
        assert!(arrived.duration_since(at) < SOON);
    }
}

#[tokio::test]
async fn one_who_waits_for_several_takes_what_has_come() {
    let app = TestApp::spawn().await;
    let alice = app.tenant("alice").await;
    let before = asked(&app).await;
    let publish = async {
        once_it_waits(&app, before, 1).await;
        alice.published_many(&vec![intent("greet"); 7]).await
    };
    let (answer, ids) = tokio::join!(alice.post("/claim?goal=greet&limit=5&wait=30", ""), publish);
    let claimed: Vec<String> = answer.claims().into_iter().map(|claim| claim.id).collect();
    assert_eq!(claimed, ids[..5]);
}

#[tokio::test]
async fn a_preference_to_wait_is_applied_and_says_so() {
    let app = TestApp::spawn().await;
    let root = app.root();
    let preferring = |value: &str| root.with("prefer", value);
    for (value, applied) in [("wait=0", "wait=0"), ("respond-async, wait=0", "wait=0")] {
        let answer = preferring(value).claim("greet").await;
        answer.empty();
        assert_eq!(answer.header("preference-applied"), Some(applied), "{value}");
    }
    let (answer, took) = timed(preferring("handling=lenient; x, wait=1").claim("greet")).await;
    answer.empty();
    assert_eq!(answer.header("preference-applied"), Some("wait=1"));
    assert!(took >= Duration::from_secs(1), "{took:?}");
    for ignored in ["wait=x", "wait=-1", "wait", "respond-async"] {
        let answer = preferring(ignored).claim("greet").await;
        answer.empty();
        assert_eq!(answer.header("preference-applied"), None, "{ignored}");
    }
    // What is asked for by the query goes before what is preferred; what is too long is as long as may be.
    let answer = preferring("wait=30").post("/claim?goal=greet&wait=0", "").await;
    answer.empty();
    assert_eq!(answer.header("preference-applied"), None);
    root.published(intent("greet")).await;
    let answer = preferring("wait=3600").claim("greet").await;
    answer.claim();
    assert_eq!(answer.header("preference-applied"), Some("wait=60"));
}

#[tokio::test]
async fn a_wait_is_a_whole_number_from_0_to_60() {
    let app = TestApp::spawn().await;
    for wait in ["61", "-1", "x", "", "1.5"] {
        app.root().post(&format!("/claim?wait={wait}"), "").await.refused(400, "invalid_request");
    }
    app.root().published(intent("greet")).await;
    app.root().claim_waiting("greet", 60).await.claim();
}

#[tokio::test]
async fn a_replica_that_stops_tells_those_who_wait_that_there_is_nothing() {
    for how in [Stop::Gently, Stop::Now] {
        let mut app = TestApp::spawn().await;
        let alice = app.tenant("alice").await;
        let before = asked(&app).await;
        let db = app.db.clone();
        let (first, second) = (alice.clone(), alice.clone());
        let stop = async {
            db.have_asked(before + 2).await;
            app.stop(how);
            Instant::now()
        };
        let waiting = join_all([first.claim_waiting("greet", 60), second.claim_waiting("greet", 60)]);
        let (answers, told) = tokio::join!(waiting, stop);
        assert!(told.elapsed() < SOON, "{how:?}: {:?}", told.elapsed());
        for answer in answers {
            answer.empty();
            assert!(answer.header("retry-after").is_some());
        }
    }
}

#[tokio::test]
async fn who_has_hung_up_while_waiting_gets_nothing_and_holds_nothing_up() {
    let app = TestApp::spawn().await;
    let alice = app.tenant("alice").await;
    let before = asked(&app).await;
    let mut gone = Vec::new();
    for _ in 0..10 {
        let mut stream = tokio::net::TcpStream::connect(app.address).await.unwrap();
        let key = alice.api_key();
        let head = format!(
            "POST /claim?goal=greet&wait=60 HTTP/1.1\r\nHost: bus\r\nX-API-KEY: {key}\r\nContent-Length: 0\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        gone.push(stream);
    }
    once_it_waits(&app, before, 10).await;
    drop(gone);
    // Until the replica has noticed.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let ids: BTreeSet<String> = alice.published_many(&vec![intent("greet"); 5]).await.into_iter().collect();
    let claims = join_all((0..5).map(|_| alice.claim_waiting("greet", 10))).await;
    assert_eq!(claims.iter().map(|answer| answer.claim().id).collect::<BTreeSet<_>>(), ids);
}
