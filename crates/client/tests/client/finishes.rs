//! Fulfilments and failures whose answer was lost: found out by asking, never by running the work again.

use std::time::Duration;

use intent_bus_client::{Claimed, Error, FailedAs, RetryPolicy};
use serde_json::{Value, json as value};

use crate::stub::{Reply, Seen, Stub, json, refused};

/// A server that has one intent claimed for the second time, and answers everything else by this script.
async fn bus(token: Option<&'static str>, script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> (Stub, Claimed) {
    let stub = Stub::start(move |seen| match seen.what.as_str() {
        "POST /claim" => {
            let mut claimed = value!({"id": "0a", "goal": "g", "payload": 1, "claim_attempts": 2, "claim_timeout": 60});
            if let Some(token) = token {
                claimed["claim_token"] = token.into();
            }
            json(200, claimed)
        }
        _ => script(seen),
    })
    .await;
    let claimed = stub.client().claim("g").await.unwrap().unwrap();
    (stub, claimed)
}

fn status(state: &str, attempts: i32, last_error: Option<&str>) -> Reply {
    json(200, value!({"id": "0a", "status": state, "claim_attempts": attempts, "last_error": last_error}))
}

fn ok() -> Reply {
    json(200, r#"{"ok":true,"id":"0a","status":"open"}"#)
}

const LOST: &[&str] = &["POST /claim", "POST /fulfill/0a", "POST /fulfill/0a", "GET /status/0a"];

/// The first fulfilment is lost, the second told that the claim is over, and the status is this.
async fn lost_then_over(now: Reply) -> (Stub, Result<(), Error>) {
    let (stub, claimed) = bus(Some("t"), move |seen| match (seen.what.as_str(), seen.nth) {
        ("POST /fulfill/0a", 0) => Reply::Lost,
        ("POST /fulfill/0a", _) => refused(404, "not_found"),
        ("GET /status/0a", _) => now.clone(),
        _ => panic!("{seen:?}"),
    })
    .await;
    let done = stub.client().fulfill(&claimed, &value!({"n": 1})).await;
    (stub, done)
}

#[tokio::test]
async fn a_fulfilment_that_was_done_although_its_answer_was_lost_is_known_as_done() {
    let (stub, done) = lost_then_over(status("fulfilled", 2, None)).await;
    done.unwrap();
    assert_eq!(stub.requests(), LOST);
}

#[tokio::test]
async fn a_fulfilment_that_did_not_arrive_is_sent_again_with_the_same_token() {
    let (stub, claimed) = bus(Some("t"), |seen| if seen.nth == 0 { Reply::Lost } else { ok() }).await;
    stub.client().fulfill(&claimed, &value!({"n": 1})).await.unwrap();
    assert_eq!(stub.requests(), ["POST /claim", "POST /fulfill/0a", "POST /fulfill/0a"]);
    for sent in &stub.seen()[1..] {
        assert_eq!(sent.json(), value!({"claim_token": "t", "result": {"n": 1}}));
    }
}

#[tokio::test]
async fn an_intent_that_another_worker_has_fulfilled_is_a_lost_lease() {
    let (stub, done) = lost_then_over(status("fulfilled", 3, None)).await;
    assert!(matches!(done, Err(Error::LeaseLost { id }) if id == "0a"));
    assert_eq!(stub.requests(), LOST);
}

#[tokio::test]
async fn an_intent_that_is_open_or_with_another_worker_is_a_lost_lease() {
    for now in [status("claimed", 3, None), status("open", 3, None), status("open", 2, None), status("dead", 2, None)] {
        let (_stub, done) = lost_then_over(now.clone()).await;
        assert!(matches!(done, Err(Error::LeaseLost { .. })), "{now:?}: {done:?}");
    }
}

#[tokio::test]
async fn a_claim_that_is_over_at_the_first_word_is_a_lost_lease_without_a_question() {
    let (stub, claimed) = bus(Some("t"), |_| refused(404, "not_found")).await;
    assert!(matches!(stub.client().fulfill(&claimed, "x").await, Err(Error::LeaseLost { .. })));
    assert!(matches!(stub.client().fail(&claimed, "x").await, Err(Error::LeaseLost { .. })));
    assert!(matches!(stub.client().extend(&claimed, Duration::from_secs(10)).await, Err(Error::LeaseLost { .. })));
    assert_eq!(stub.requests().len(), 4);
}

#[tokio::test]
async fn a_busy_bus_may_have_done_it_and_one_that_limits_has_not() {
    let (stub, claimed) = bus(Some("t"), |seen| match (seen.what.as_str(), seen.nth) {
        ("POST /fulfill/0a", 0) => refused(503, "database_busy"),
        ("POST /fulfill/0a", _) => refused(404, "not_found"),
        _ => status("fulfilled", 2, None),
    })
    .await;
    stub.client().fulfill(&claimed, "x").await.unwrap();
    assert_eq!(stub.requests(), LOST);

    let (stub, claimed) = bus(Some("t"), |seen| match seen.nth {
        0 => refused(429, "rate_limited"),
        _ => refused(404, "not_found"),
    })
    .await;
    let done = stub.client().fulfill(&claimed, "x").await;
    assert!(matches!(done, Err(Error::LeaseLost { .. })), "the first was not done, so the claim was over before");
    assert_eq!(stub.requests(), ["POST /claim", "POST /fulfill/0a", "POST /fulfill/0a"]);
}

#[tokio::test]
async fn a_failure_that_was_noted_although_its_answer_was_lost_is_known_by_its_message() {
    let message = "no such file";
    let table = [
        (status("open", 2, Some(message)), Some(FailedAs::Retried)),
        (status("claimed", 3, Some(message)), Some(FailedAs::Retried)),
        (status("dead", 2, Some(message)), Some(FailedAs::Dead)),
        (status("dead", 2, Some("Cancelled by an operator.")), None),
        (status("claimed", 3, Some("another worker's")), None),
        (status("fulfilled", 3, None), None),
    ];
    for (now, expected) in table {
        let then = now.clone();
        let (stub, claimed) = bus(Some("t"), move |seen| match (seen.what.as_str(), seen.nth) {
            ("POST /fail/0a", 0) => Reply::Lost,
            ("POST /fail/0a", _) => refused(404, "not_found"),
            _ => then.clone(),
        })
        .await;
        let failed = stub.client().fail(&claimed, message).await;
        match expected {
            Some(expected) => assert_eq!(failed.unwrap(), expected, "{now:?}"),
            None => assert!(matches!(failed, Err(Error::LeaseLost { .. })), "{now:?}"),
        }
    }
}

#[tokio::test]
async fn without_a_token_nothing_is_sent_again_before_the_status_was_asked_for() {
    // (state, attempts), what the client makes of it, and whether it sends again.
    let table: [(Reply, bool, bool); 5] = [
        (status("fulfilled", 2, None), true, false),
        (status("claimed", 2, None), true, true),
        (status("claimed", 3, None), false, false),
        (status("open", 3, None), false, false),
        (status("failed", 2, None), false, false),
    ];
    for (now, good, again) in table {
        let then = now.clone();
        let (stub, claimed) = bus(None, move |seen| match (seen.what.as_str(), seen.nth) {
            ("POST /fulfill/0a", 0) => Reply::Lost,
            ("POST /fulfill/0a", _) => ok(),
            _ => then.clone(),
        })
        .await;
        let done = stub.client().fulfill(&claimed, "x").await;
        assert_eq!(done.is_ok(), good, "{now:?}: {done:?}");
        let mut expected = vec!["POST /claim", "POST /fulfill/0a", "GET /status/0a"];
        expected.extend(again.then_some("POST /fulfill/0a"));
        assert_eq!(stub.requests(), expected, "{now:?}");
        assert_eq!(stub.seen()[1].json(), value!({"result": "x"}), "no token is made up");
    }
}

#[tokio::test]
async fn without_a_token_and_without_a_status_the_answer_is_that_nobody_knows() {
    let (stub, claimed) = bus(None, |seen| match seen.what.as_str() {
        "POST /fulfill/0a" => Reply::Lost,
        _ => json(404, "<h1>Not Found</h1>"),
    })
    .await;
    let done = stub.client().fulfill(&claimed, "x").await;
    assert!(done.is_err() && !matches!(done, Err(Error::LeaseLost { .. })), "{done:?}");
    assert_eq!(stub.requests(), ["POST /claim", "POST /fulfill/0a", "GET /status/0a"]);
}

#[tokio::test]
async fn a_bus_that_stays_away_is_told_when_patience_is_over() {
    let (stub, claimed) = bus(Some("t"), |_| Reply::Lost).await;
    let retry = RetryPolicy::default().attempts(3).first_pause(Duration::from_millis(1));
    let bus = stub.builder().retry(retry).build().unwrap();
    assert!(matches!(bus.fulfill(&claimed, "x").await, Err(Error::Network(_))));
    assert_eq!(stub.requests(), ["POST /claim", "POST /fulfill/0a", "POST /fulfill/0a", "POST /fulfill/0a"]);
}

#[tokio::test]
async fn a_result_leaves_byte_for_byte() {
    let (stub, claimed) = bus(Some("t"), |_| ok()).await;
    let raw = r#"{ "z":1e400, "n":12345678901234567890123, "s":"\ud800\u0000" }"#;
    let result = serde_json::value::RawValue::from_string(raw.to_owned()).unwrap();
    stub.client().fulfill_json(&claimed, Some(result)).await.unwrap();
    assert!(stub.seen()[1].body.contains(&format!(r#""result":{raw}"#)), "{}", stub.seen()[1].body);
    stub.client().fulfill_text(&claimed, "hello").await.unwrap();
    let sent: Value = stub.seen()[2].json();
    assert_eq!((&sent["result"], &sent["result_type"]), (&value!("hello"), &value!("text")));
}

const PAGE: &str = "<h1>default backend - 404</h1>";

#[tokio::test]
async fn what_something_before_the_bus_refuses_is_sent_again_and_no_lease_is_lost_by_it() {
    let (stub, claimed) = bus(Some("t"), |seen| match (seen.what.as_str(), seen.nth) {
        ("POST /fulfill/0a" | "POST /extend_claim/0a", 0) => json(404, PAGE),
        ("POST /fulfill/0a", 1) => json(403, PAGE),
        _ => ok(),
    })
    .await;
    stub.client().extend(&claimed, Duration::from_secs(10)).await.unwrap();
    stub.client().fulfill(&claimed, "x").await.unwrap();
    assert_eq!(stub.requests().len(), 1 + 2 + 3, "{:?}", stub.requests());

    // It may have answered after the bus had done it.
    let (stub, claimed) = bus(Some("t"), |seen| match (seen.what.as_str(), seen.nth) {
        ("POST /fulfill/0a" | "GET /status/0a", 0) => json(404, PAGE),
        ("POST /fulfill/0a", _) => refused(404, "not_found"),
        _ => status("fulfilled", 2, None),
    })
    .await;
    stub.client().fulfill(&claimed, "x").await.unwrap();
    assert_eq!(stub.requests().len(), 1 + 2 + 2, "{:?}", stub.requests());

    // A server without tokens may be one without codes.
    let (stub, claimed) = bus(None, |_| json(404, PAGE)).await;
    assert!(matches!(stub.client().fulfill(&claimed, "x").await, Err(Error::LeaseLost { .. })));
}
