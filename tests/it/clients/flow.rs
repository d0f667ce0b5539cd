//! Every call of the client, as a program would make them, all signed.

use std::time::Duration;

use intent_bus_client::{Error, FailedAs, IntentClient, IntentState, Job, NewIntent, Outcome, RawValue, Worker};
use serde_json::{Value, json};

use super::{client, fulfilled};
use crate::support::TestApp;

const SIGNED: (&str, &str) = ("BUS_REQUIRE_SIGNATURES", "true");

#[tokio::test]
async fn one_publishes_and_another_executes() {
    let app = TestApp::with(&[SIGNED]).await;
    let bus = client(&app);
    let published = bus.publish("greet", &json!({"name": "Ada"})).await.unwrap();
    let greet = |job: Job<Value>| async move {
        let name = job.payload["name"].as_str().ok_or("no name")?.to_owned();
        Ok::<_, &str>(format!("hello, {name}"))
    };
    let done = async {
        let result = bus.wait_for_result(&published.id, Duration::from_secs(20)).await.unwrap();
        assert_eq!(result.value::<String>().unwrap().as_deref(), Some("hello, Ada"));
    };
    Worker::new(bus.clone()).goal("greet", greet).run_until(done).await.unwrap();
}

#[tokio::test]
async fn what_is_published_arrives_as_it_was_said() {
    let app = TestApp::with(&[SIGNED]).await;
    let bus = client(&app);
    let raw = r#"{ "z":1e400, "n":12345678901234567890123, "s":"\ud800\u0000" }"#;
    let payload = RawValue::from_string(raw.to_owned()).unwrap();
    let published = bus
        .publish_json("say \"hi\" + é", payload)
        .namespace("n.1")
        .priority(500)
        .max_attempts(2)
        .backoff_base(Duration::from_secs(1))
        .target_worker("pi-3")
        .required_capability("gpu")
        .await
        .unwrap();
    assert_eq!(published.namespace.as_deref(), Some("n.1"));
    let claim = bus.claim("say \"hi\" + é").namespace("n.1");
    assert!(claim.clone().worker_id("pi-4").capabilities(["gpu"]).await.unwrap().is_none());
    let claimed = claim.worker_id("pi-3").capabilities(["cpu", "gpu"]).await.unwrap().expect("an intent");
    assert_eq!(claimed.payload_json().get(), raw);
    assert_eq!((claimed.priority(), claimed.attempt(), claimed.lease()), (500, 1, Duration::from_secs(60)));
    bus.extend(&claimed, Duration::from_secs(60)).await.unwrap();
    assert_eq!(bus.fail(&claimed, "no such file").await.unwrap(), FailedAs::Retried);
    let status = bus.status(&published.id).await.unwrap();
    assert_eq!((status.state, status.last_error.as_deref()), (IntentState::Open, Some("no such file")));
    assert!(matches!(bus.fulfill(&claimed, "late").await, Err(Error::LeaseLost { .. })));
}

#[tokio::test]
async fn delayed_and_public_intents_are_published_as_such() {
    let app = TestApp::spawn().await;
    let bus = client(&app);
    bus.publish("later", &json!({})).delay(Duration::from_secs(600)).await.unwrap();
    assert!(bus.claim("later").await.unwrap().is_none());
    let stranger = app.tenant("eve").await;
    let eve = IntentClient::builder().base_url(format!("http://{}", app.address)).api_key(stranger.api_key());
    let eve = eve.build().unwrap();
    bus.publish("open", &1).public().await.unwrap();
    bus.publish("closed", &2).await.unwrap();
    let claimed = eve.claim_any().await.unwrap().expect("the public one");
    assert_eq!(claimed.goal(), "open");
    eve.fulfill(&claimed, &2).await.unwrap();
    assert!(eve.claim_any().await.unwrap().is_none());
    let error = eve.status("00000000000000000000000000000000").await.unwrap_err();
    assert_eq!((error.status(), error.code()), (Some(404), Some("not_found")));
    assert!(error.request_id().is_some());
}

#[tokio::test]
async fn a_key_of_the_caller_makes_one_intent_of_two_calls() {
    let app = TestApp::spawn().await;
    let bus = client(&app);
    let first = bus.publish("pay", &json!({"order": 7})).idempotency_key("order-7").await.unwrap();
    let again = bus.publish("pay", &json!({"order": 7})).idempotency_key("order-7").await.unwrap();
    assert_eq!(first, again);
    let error = bus.publish("pay", &json!({"order": 8})).idempotency_key("order-7").await.unwrap_err();
    assert_eq!(error.code(), Some("idempotency_conflict"));
    let other = bus.publish("pay", &json!({"order": 7})).await.unwrap();
    assert_ne!(first.id, other.id);
}

#[tokio::test]
async fn many_are_published_claimed_and_worked_off_by_few_requests() {
    let app = TestApp::with(&[SIGNED]).await;
    let bus = client(&app);
    let mut intents: Vec<_> = (0..300).map(|n| NewIntent::new("square", &n)).collect();
    intents.push(NewIntent::new("square", &0).priority(1001));
    let outcomes = bus.publish_many(intents).await.unwrap();
    assert_eq!(outcomes[300].as_ref().unwrap_err().code(), Some("invalid_request"));
    let ids: Vec<_> = outcomes.into_iter().filter_map(Result::ok).map(|published| published.id).collect();
    assert_eq!(ids.len(), 300);
    let square = |job: Job<u64>| async move { Ok::<_, &str>(job.payload * job.payload) };
    let done = async { fulfilled(&bus, &ids).await };
    let attempts = std::sync::Mutex::new(Vec::new());
    let stop = async { *attempts.lock().unwrap() = done.await };
    Worker::new(bus.clone()).goal("square", square).concurrency(64).run_until(stop).await.unwrap();
    assert_eq!(attempts.into_inner().unwrap(), vec![1; 300], "each ran once");
    assert_eq!(bus.result(&ids[17]).await.unwrap().json(), Some("289"));
}

#[tokio::test]
async fn every_way_to_end_a_handler_is_seen_by_the_publisher() {
    let app = TestApp::spawn().await;
    let bus = client(&app);
    let mut ids = Vec::new();
    for way in ["json", "text", "reject", "error", "panic", "slow"] {
        ids.push(bus.publish("end", way).max_attempts(1).await.unwrap().id);
    }
    let handler = |job: Job<String>| async move {
        match job.payload.as_str() {
            "json" => Outcome::json(&json!({"ok": 1})).map_err(|error| error.to_string()),
            "text" => Ok(Outcome::text("done")),
            "reject" => Ok(Outcome::reject("not for me")),
            "error" => Err("no such file".to_owned()),
            "slow" => std::future::pending().await,
            other => panic!("what is {other}?"),
        }
    };
    let mut ends = Vec::new();
    let read = async {
        for id in &ids {
            ends.push(bus.wait_for_result(id, Duration::from_secs(20)).await.unwrap());
        }
    };
    let worker =
        Worker::new(bus.clone()).goal("end", handler).concurrency(6).handler_timeout(Duration::from_millis(300));
    worker.run_until(read).await.unwrap();
    let results: Vec<_> = ends[..2].iter().map(|end| (end.json(), end.result_type.as_deref())).collect();
    assert_eq!(results, [(Some(r#"{"ok":1}"#), Some("json")), (Some("\"done\""), Some("text"))]);
    let errors: Vec<_> = ends[2..].iter().map(|end| end.error.as_deref().expect("an error")).collect();
    let expected = [
        "not for me",
        "no such file",
        "The handler has panicked: what is panic?",
        "The handler did not end within 0.3 s.",
    ];
    assert_eq!(errors, expected);
    assert!(ends[2..].iter().all(|end| end.status.state == IntentState::Dead));
}

#[tokio::test]
async fn values_are_shared_for_a_while() {
    let app = TestApp::with(&[SIGNED]).await;
    let bus = client(&app);
    for key in ["a", "a/b c?d", "é\n", "100%+"] {
        bus.set(key, "active", Some(Duration::from_secs(60))).await.unwrap();
        assert_eq!(bus.get(key).await.unwrap().as_deref(), Some("active"), "{key:?}");
    }
    bus.set("a", &json!({"n": 1}), None).await.unwrap();
    assert_eq!(bus.get("a").await.unwrap().as_deref(), Some(r#"{"n":1}"#));
    assert_eq!(bus.get("none").await.unwrap(), None);
}

#[tokio::test]
async fn a_tenants_limits_are_told_with_the_time_to_come_back() {
    let app = TestApp::with(&[("BUS_RATE_LIMIT_PER_MINUTE", "2")]).await;
    let key = app.limited_tenant("ada").await;
    let bus = IntentClient::builder().base_url(format!("http://{}", app.address)).api_key(key.api_key());
    let bus = bus.retry(intent_bus_client::RetryPolicy::none()).build().unwrap();
    let mut last = Ok(None);
    for _ in 0..3 {
        last = bus.get("a").await;
    }
    let error = last.unwrap_err();
    assert!(matches!(error, Error::RateLimited(_)) && error.retry_after().is_some(), "{error}");
    let wrong =
        IntentClient::builder().base_url(format!("http://{}", app.address)).api_key("tk_wrong").build().unwrap();
    assert!(matches!(wrong.get("a").await, Err(Error::Auth(_))));
}
