//! What is sent again, and what is not: the rows of the operation safety table, each with an answer that got lost.

use std::time::{Duration, Instant};

use intent_bus_client::{Error, IntentClient, NewIntent, RetryPolicy};

use crate::stub::{Reply, Stub, empty, json, refused};

const PUBLISHED: &str = r#"{"id":"0a","status":"published","namespace":"default"}"#;

/// The first request is done, but its answer is lost; the others are answered with this.
fn lost_once(answer: Reply) -> impl Fn(&crate::stub::Seen) -> Reply {
    move |seen| if seen.nth == 0 { Reply::Lost } else { answer.clone() }
}

fn headers(stub: &Stub, name: &str) -> Vec<Option<String>> {
    stub.seen().iter().map(|seen| seen.headers.get(name).cloned()).collect()
}

#[tokio::test]
async fn a_publication_whose_answer_was_lost_is_sent_again_under_the_same_key() {
    let stub = Stub::start(lost_once(json(201, PUBLISHED))).await;
    let published = stub.client().publish("greet", "Ada").await.unwrap();
    assert_eq!(published.id, "0a");
    assert_eq!(stub.requests(), ["POST /intent", "POST /intent"]);
    let keys = headers(&stub, "idempotency-key");
    assert!(keys[0].is_some() && keys[0] == keys[1], "{keys:?}");
    assert_eq!(stub.seen()[0].body, stub.seen()[1].body);
}

#[tokio::test]
async fn the_callers_idempotency_key_is_the_one_that_is_sent() {
    let stub = Stub::start(|_| json(201, PUBLISHED)).await;
    let bus = stub.client();
    bus.publish("pay", &7).idempotency_key("order-7").await.unwrap();
    bus.publish("pay", &7).await.unwrap();
    bus.publish("pay", &7).await.unwrap();
    let keys = headers(&stub, "idempotency-key");
    assert_eq!(keys[0].as_deref(), Some("order-7"));
    assert_ne!(keys[1], keys[2], "two calls are two intents, also if they say the same");
}

#[tokio::test]
async fn many_publications_are_sent_again_under_one_key() {
    let answer = r#"{"outcomes":[{"id":"0a","status":"published"},{"error":{"code":"limit_exceeded","message":"m"}}]}"#;
    let stub = Stub::start(lost_once(json(200, answer))).await;
    let outcomes = stub.client().publish_many([NewIntent::new("a", &1), NewIntent::new("a", &2)]).await.unwrap();
    assert_eq!(outcomes[0].as_ref().unwrap().id, "0a");
    let refusal = outcomes[1].as_ref().unwrap_err();
    assert_eq!((refusal.status(), refusal.code()), (429, Some("limit_exceeded")));
    let keys = headers(&stub, "idempotency-key");
    assert!(keys.len() == 2 && keys[0].is_some() && keys[0] == keys[1], "{keys:?}");
}

#[tokio::test]
async fn a_value_is_set_again_under_the_same_key() {
    let stub = Stub::start(lost_once(json(200, r#"{"ok":true}"#))).await;
    stub.client().set("node/1 é", &[1, 2], Some(Duration::from_secs(60))).await.unwrap();
    assert_eq!(stub.requests(), ["POST /set/node/1%20%C3%A9"; 2]);
    assert_eq!(stub.seen()[1].json(), serde_json::json!({"value": [1, 2], "ttl": 60}));
    let keys = headers(&stub, "idempotency-key");
    assert!(keys[0].is_some() && keys[0] == keys[1], "{keys:?}");
}

#[tokio::test]
async fn reads_are_sent_again() {
    let stub = Stub::start(|seen| match (seen.nth, seen.what.as_str()) {
        (0, _) => Reply::Lost,
        (1, _) => refused(503, "database_busy"),
        (_, "GET /get/a") => json(200, r#"{"value":"x"}"#),
        _ => json(200, r#"{"id":"0a","status":"fulfilled","result":1}"#),
    })
    .await;
    let bus = stub.client();
    assert_eq!(bus.get("a").await.unwrap().as_deref(), Some("x"));
    assert!(bus.status("0a").await.unwrap().state.is_final());
    assert_eq!(bus.result("0a").await.unwrap().value().unwrap(), Some(1));
    assert_eq!(stub.requests().len(), 9);
}

#[tokio::test]
async fn a_claim_whose_answer_was_lost_is_not_sent_again() {
    let stub = Stub::start(|_| Reply::Lost).await;
    let error = stub.client().claim("greet").await.unwrap_err();
    assert!(matches!(&error, Error::Network(error) if !error.is_unsent()), "{error}");
    assert_eq!(stub.requests(), ["POST /claim"]);
    let id = stub.seen()[0].headers["x-request-id"].clone();
    assert_eq!(error.request_id(), Some(id.as_str()), "the log of the bus can be asked");
}

/// Nothing to do, from a bus that gives the same claims again.
fn nothing_again(seen: &crate::stub::Seen) -> Reply {
    Reply::Answer(204, vec![("x-claim-request-id", seen.headers["x-claim-request-id"].clone())], String::new())
}

#[tokio::test]
async fn a_claim_is_sent_again_by_its_id_to_a_bus_that_gives_the_same_claims_again() {
    let stub = Stub::start(|seen| match seen.nth {
        1 => Reply::Lost,
        2 => refused(503, "database_busy"),
        _ => nothing_again(seen),
    })
    .await;
    let bus = stub.client();
    assert!(bus.claim("greet").await.unwrap().is_none());
    assert!(bus.claim("greet").await.unwrap().is_none());
    let ids = headers(&stub, "x-claim-request-id");
    assert!(ids.len() == 4 && ids[1] == ids[2] && ids[2] == ids[3] && ids[0] != ids[1], "{ids:?}");
}

#[tokio::test]
async fn a_claim_that_waited_twice_for_nothing_asks_what_the_lost_try_was_given() {
    let job = r#"{"id":"0a","goal":"greet","payload":{},"claim_token":"t","claim_attempts":1}"#;
    let stub = Stub::start(move |seen| match seen.nth {
        0 | 2 => nothing_again(seen),
        1 => Reply::Lost,
        _ => json(200, job),
    })
    .await;
    let bus = stub.client();
    let claim = || bus.claim("greet").wait(Duration::from_secs(1));
    assert!(claim().await.unwrap().is_none());
    assert_eq!(claim().await.unwrap().unwrap().id(), "0a");
    let queries: Vec<String> = stub.seen().iter().map(|seen| seen.query.clone()).collect();
    assert_eq!(queries, ["goal=greet&wait=1", "goal=greet&wait=1", "goal=greet&wait=1", "goal=greet"]);
    let ids = headers(&stub, "x-claim-request-id");
    assert!(ids[1] == ids[2] && ids[2] == ids[3], "{ids:?}");
}

#[tokio::test]
async fn a_claim_that_a_busy_bus_may_have_made_is_not_sent_again() {
    let stub = Stub::start(|_| refused(503, "database_busy")).await;
    assert!(matches!(stub.client().claim("greet").await, Err(Error::Unavailable(_))));
    assert_eq!(stub.requests().len(), 1);
}

#[tokio::test]
async fn a_claim_that_was_certainly_not_made_is_sent_again() {
    let stub = Stub::start(|seen| match seen.nth {
        0 => refused(429, "rate_limited"),
        1 => refused(503, "maintenance"),
        _ => empty("1"),
    })
    .await;
    assert!(stub.client().claim("greet").await.unwrap().is_none());
    assert_eq!(stub.requests().len(), 3);
}

#[tokio::test]
async fn nobody_at_the_address_is_tried_again_and_told_as_not_sent() {
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let retry = RetryPolicy::default().attempts(3).first_pause(Duration::from_millis(1));
    let url = format!("http://127.0.0.1:{port}");
    let bus = IntentClient::builder().base_url(url).api_key("tk_0").retry(retry).build().unwrap();
    let error = bus.claim("greet").await.unwrap_err();
    assert!(matches!(&error, Error::Network(error) if error.is_unsent()), "{error}");
    assert!(!error.to_string().contains("tk_0"));
}

#[tokio::test]
async fn what_the_bus_refuses_for_good_is_sent_once() {
    for (status, code) in [(400, "invalid_goal"), (401, "unauthorized"), (403, "forbidden"), (409, "conflict")] {
        let stub = Stub::start(move |_| refused(status, code)).await;
        let error = stub.client().publish("greet", "Ada").await.unwrap_err();
        assert_eq!((error.status(), error.code(), error.is_retryable()), (Some(status), Some(code), false));
        assert_eq!(stub.requests().len(), 1, "{code}");
    }
}

#[tokio::test]
async fn a_client_waits_for_as_long_as_the_bus_asks() {
    let stub = Stub::start(|seen| match seen.nth {
        0 => Reply::Answer(429, vec![("retry-after", "1".to_owned())], String::new()),
        _ => json(201, PUBLISHED),
    })
    .await;
    let began = Instant::now();
    stub.client().publish("greet", "Ada").await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_wait_that_is_longer_than_the_clients_patience_is_told_at_once() {
    let stub = Stub::start(|_| Reply::Answer(429, vec![("retry-after", "3600".to_owned())], String::new())).await;
    let began = Instant::now();
    let error = stub.client().publish("greet", "Ada").await.unwrap_err();
    assert!(matches!(error, Error::RateLimited(_)) && error.is_retryable());
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3600)));
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert_eq!(stub.requests().len(), 1);
}

#[tokio::test]
async fn a_client_without_patience_tries_once() {
    let stub = Stub::start(|_| refused(503, "database_busy")).await;
    let bus = stub.builder().retry(RetryPolicy::none()).build().unwrap();
    assert!(matches!(bus.get("a").await, Err(Error::Unavailable(_))));
    assert_eq!(stub.requests().len(), 1);
}

#[tokio::test]
async fn an_extension_whose_answer_was_lost_is_sent_again() {
    let stub = Stub::start(|seen| match (seen.what.as_str(), seen.nth) {
        ("POST /claim", _) => json(200, r#"{"id":"0a","goal":"g","payload":1,"claim_token":"t","claim_attempts":1}"#),
        (_, 0) => Reply::Lost,
        _ => json(200, r#"{"ok":true}"#),
    })
    .await;
    let bus = stub.client();
    let claimed = bus.claim("g").await.unwrap().unwrap();
    bus.extend(&claimed, Duration::from_millis(12_500)).await.unwrap();
    let sent = stub.seen().pop().unwrap();
    assert_eq!(sent.json(), serde_json::json!({"claim_token": "t", "seconds": 13}));
    assert_eq!(stub.requests(), ["POST /claim", "POST /extend_claim/0a", "POST /extend_claim/0a"]);
}

#[tokio::test]
async fn what_was_sent_once_is_not_told_as_unsent_when_nobody_is_there_later() {
    use tokio::io::AsyncReadExt;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        // The address is free before the client knows that its request was lost.
        drop(listener);
        let _ = stream.read(&mut [0; 4096]).await;
    });
    let retry = RetryPolicy::default().attempts(2).first_pause(Duration::from_millis(1));
    let builder = IntentClient::builder().base_url(format!("http://{address}")).api_key("tk_0").retry(retry);
    let error = builder.build().unwrap().publish("greet", "Ada").await.unwrap_err();
    assert!(matches!(&error, Error::Network(error) if !error.is_unsent() && !error.is_timeout()), "{error}");
}

#[tokio::test]
async fn outcomes_that_are_not_as_many_as_the_intents_are_no_answer() {
    let stub = Stub::start(|_| json(200, r#"{"outcomes":[{"id":"0a","status":"published"}]}"#)).await;
    let error = stub.client().publish_many([NewIntent::new("a", &1), NewIntent::new("a", &2)]).await.unwrap_err();
    assert!(matches!(&error, Error::Protocol(said) if said.contains("1 outcomes for 2")), "{error}");
}
