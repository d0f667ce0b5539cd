//! Payloads, results and reasons go out as they came in; how large and how deep they may be; input that means harm.

use intent_bus_protocol::wire;
use serde_json::{json, value::RawValue};

use crate::support::{
    Client, TestApp,
    factory::{intent, intent_with},
};

/// JSON that a parse into numbers and strings, and back, would change or refuse.
fn hostile_json() -> Vec<String> {
    let mut texts: Vec<String> = [
        r#"{ "z" : 1 , "a" : 2 , "m" : [ 1 ,2, 3 ] }"#,
        r#"{"z":1,"a":2,"z":3}"#,
        r#"{"n":1e400,"m":-1E+999,"tiny":1e-400}"#,
        r#"{"n":1234567890123456789012345678901}"#,
        r#"{"n":0.1000000000000000000000000000000001,"m":1.0,"zero":-0,"e":1E5}"#,
        r#"{"s":"\u0000","\u0000":"key"}"#,
        r#"{"s":"\ud800","t":"\udfff\ud800","\ud834":1}"#,
        r#"{"s":"\u00e9\/\b\f\n\r\t\"\\"}"#,
        "{\"s\":\"é 日本 🚀 \u{202e}abc\u{2028}\u{feff}\u{7f}\"}",
        "{\r\n\t\"a\":\t1 ,\n\"b\" :[ ]\r\n}",
        r#"{"":{"":{"":""}}}"#,
        r#"{"$ref":"x","__proto__":{"a":1},"<script>":"</script>"}"#,
    ]
    .map(str::to_owned)
    .to_vec();
    texts.push(format!(r#"{{"digits":{}}}"#, "9".repeat(5000)));
    texts
}

async fn publish_raw(client: &Client, payload: &str) -> String {
    client.published(format!(r#"{{"goal":"bytes","payload":{payload}}}"#)).await
}

fn payload_of(answer: &crate::support::Answer) -> String {
    let claimed: wire::Claimed = serde_json::from_slice(&answer.body).unwrap();
    claimed.payload.get().to_owned()
}

#[tokio::test]
async fn a_payload_is_claimed_byte_for_byte() {
    let app = TestApp::spawn().await;
    for payload in hostile_json() {
        publish_raw(&app.root(), &payload).await;
        let answer = app.root().claim("bytes").await;
        assert_eq!(payload_of(&answer), payload);
    }
}

#[tokio::test]
async fn a_payload_of_any_kind_is_claimed_byte_for_byte_under_2() {
    let app = TestApp::spawn().await;
    let root = app.root().declaring("7.61");
    for payload in ["1e400", "-0", "\"\\ud800\"", "\"\"", "[ 1, 1234567890123456789012345678901 ]", "null", " true "] {
        publish_raw(&root, payload).await;
        assert_eq!(payload_of(&root.claim("bytes").await), payload.trim());
    }
}

#[tokio::test]
async fn a_result_is_read_byte_for_byte() {
    let app = TestApp::spawn().await;
    let root = app.root();
    let scalars = ["1e400", "-0.0", "\"\\ud800\\u0000\"", "null", "[ 1 , 2 ]"].map(str::to_owned);
    for result in hostile_json().into_iter().chain(scalars) {
        let id = publish_raw(&root, "{}").await;
        let claim = root.claimed("bytes").await;
        let body = format!(r#"{{ "claim_token" : "{}", "result" : {result} }}"#, claim.token);
        root.post(&format!("/fulfill/{id}"), body).await.expect(200);
        let answer = root.result(&id).await;
        let seen: wire::IntentResult = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(seen.result.as_deref().map(RawValue::get), Some(result.as_str()));
    }
}

#[tokio::test]
async fn a_dead_letter_shows_its_payload_byte_for_byte() {
    let app = TestApp::spawn().await;
    for payload in hostile_json() {
        let id = publish_raw(&app.root(), &payload).await;
        app.admin().cancel(&id).await.expect(200);
        let answer = app.admin().get(&format!("/admin/dead/{id}")).await;
        let letter: wire::DeadLetterDetail = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(letter.payload.get(), payload);
    }
}

#[tokio::test]
async fn a_retried_and_moved_payload_is_still_the_same() {
    let app = TestApp::spawn().await;
    let payload = r#"{ "n":1e400, "s":"\ud800\u0000" }"#;
    let id = publish_raw(&app.root(), payload).await;
    app.admin().cancel(&id).await.expect(200);
    app.admin().retry(&id).await.expect(200);
    assert_eq!(payload_of(&app.root().claim("bytes").await), payload);
}

#[tokio::test]
async fn a_string_value_is_read_as_it_was_set_even_if_it_holds_no_characters() {
    let app = TestApp::spawn().await;
    for value in [r#""\ud800""#, r#""\u0000""#, r#""\u00e9\/""#, "\"\u{202e}\""] {
        app.root().post("/set/k", format!(r#"{{"value": {value} }}"#)).await.expect(200);
        assert_eq!(app.root().value("k").await.text(), format!(r#"{{"value":{value}}}"#));
    }
}

fn nested(levels: usize, open: &str, close: &str) -> String {
    format!("{}1{}", open.repeat(levels), close.repeat(levels))
}

#[tokio::test]
async fn ten_levels_are_accepted_and_eleven_are_not() {
    let app = TestApp::spawn().await;
    let root = app.root().declaring("7.61");
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        let (fine, deep) = (nested(10, open, close), nested(11, open, close));
        publish_raw(&root, &fine).await;
        root.publish(format!(r#"{{"goal":"bytes","payload":{deep}}}"#)).await.refused(400, "invalid_payload");
        let claim = root.claimed("bytes").await;
        let body = |result: &str| format!(r#"{{"claim_token":"{}","result":{result}}}"#, claim.token);
        let target = format!("/fulfill/{}", claim.id);
        root.post(&target, body(&deep)).await.refused(400, "invalid_payload");
        root.post(&target, body(&fine)).await.expect(200);
        root.post("/set/k", format!(r#"{{"value":{fine}}}"#)).await.expect(200);
        root.post("/set/k", format!(r#"{{"value":{deep}}}"#)).await.refused(400, "invalid_payload");
    }
    // A string full of brackets is not deep.
    publish_raw(&root, &format!("\"{}\"", "[".repeat(1000))).await;
}

#[tokio::test]
async fn a_body_nested_beyond_all_measure_is_refused() {
    let app = TestApp::spawn().await;
    for keyed in [app.root(), app.root().with("idempotency-key", "k")] {
        for text in [nested(50_000, "[", "]"), nested(20_000, r#"{"a":"#, "}"), "[".repeat(100_000)] {
            let answer = keyed.publish(format!(r#"{{"goal":"bytes","payload":{text}}}"#)).await;
            assert_eq!(answer.status, 400, "{}", answer.text());
            let answer = keyed.publish(text.clone()).await;
            assert_eq!(answer.status, 400, "{}", answer.text());
        }
    }
}

#[tokio::test]
async fn what_is_too_large_is_413() {
    let app = TestApp::with(&[("BUS_MAX_PAYLOAD_BYTES", "2000")]).await;
    let root = app.root().declaring("7.61");
    let text = |length: usize| format!("\"{}\"", "x".repeat(length - 2));
    publish_raw(&root, &text(2000)).await;
    root.publish(format!(r#"{{"goal":"bytes","payload":{}}}"#, text(2001))).await.refused(413, "payload_too_large");
    let claim = root.claimed("bytes").await;
    let target = format!("/fulfill/{}", claim.id);
    let body = |result: &str| format!(r#"{{"claim_token":"{}","result":{result}}}"#, claim.token);
    root.post(&target, body(&text(2001))).await.refused(413, "payload_too_large");
    root.post(&target, body(&text(2000))).await.expect(200);
    root.post("/set/k", format!(r#"{{"value":{}}}"#, text(2000))).await.expect(200);
    root.post("/set/k", format!(r#"{{"value":{}}}"#, text(2001))).await.refused(413, "payload_too_large");
    // The body as a whole, on every path that reads one.
    let padded = |length: usize| format!(r#"{{"goal":"bytes","payload":{{}}}}{}"#, " ".repeat(length - 29));
    root.publish(padded(2000 + 65_536)).await.expect(201);
    for target in ["/intent", "/claim", "/set/k", &target] {
        let answer = root.post(target, padded(2000 + 65_536 + 1)).await;
        answer.refused(413, "payload_too_large");
        assert_eq!(answer.header("connection"), Some("close"), "{target}");
    }
    app.admin().post("/admin/generate_key", padded(65_537)).await.refused(413, "payload_too_large");
}

#[tokio::test]
async fn a_body_that_does_not_say_its_length_is_counted_as_it_comes() {
    let app = TestApp::with(&[("BUS_MAX_PAYLOAD_BYTES", "2000")]).await;
    let chunk = format!("4000\r\n{}\r\n", " ".repeat(0x4000)).repeat(6);
    let head = format!(
        "POST /intent HTTP/1.1\r\nHost: bus\r\nX-API-KEY: {}\r\nTransfer-Encoding: chunked\r\n\r\n",
        app.root().api_key()
    );
    let answer = app.raw(format!("{head}{chunk}0\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test]
async fn the_largest_payload_of_the_default_is_256_kib() {
    let app = TestApp::spawn().await;
    let root = app.root().declaring("7.61");
    let text = |length: usize| format!("\"{}\"", "x".repeat(length - 2));
    publish_raw(&root, &text(262_144)).await;
    assert_eq!(payload_of(&root.claim("bytes").await).len(), 262_144);
    root.publish(format!(r#"{{"goal":"bytes","payload":{}}}"#, text(262_145))).await.refused(413, "payload_too_large");
}

#[tokio::test]
async fn goals_of_any_letters_come_back_as_they_are() {
    let app = TestApp::spawn().await;
    let root = app.root();
    let goals = [
        "🚀🚀",
        "שלום עולם",
        "\u{202e}txt.exe",
        "a\u{0301}",
        "á",
        "\u{feff}bom",
        "<script>alert(1)</script>",
        "'; DROP TABLE intents; --",
        "a\nb",
        "a\tb",
        "\u{7f}",
        "%00",
        "\\u0000",
        "{own}",
        "$1",
        "\u{fffd}",
        "\u{10ffff}",
        "İı",
        "\u{1}",
    ];
    for goal in goals {
        let id = root.published(intent(goal)).await;
        assert_eq!(root.status(&id).await.expect(200)["goal"], goal);
        let query = goal.bytes().fold(String::new(), |query, byte| format!("{query}%{byte:02X}"));
        let claim = root.claimed(&query).await;
        assert_eq!((&claim.id, &claim.body["goal"]), (&id, &json!(goal)));
    }
}

#[tokio::test]
async fn text_that_is_no_unicode_is_refused_where_a_name_is_wanted() {
    let app = TestApp::spawn().await;
    let table = [
        (r#"{"goal":"\ud800","payload":{}}"#, "invalid_goal"),
        (r#"{"goal":"a\udfffb","payload":{}}"#, "invalid_goal"),
        (r#"{"goal":"\u0000","payload":{}}"#, "invalid_goal"),
        (r#"{"goal":"a","payload":{},"namespace":"\ud800"}"#, "invalid_namespace"),
        (r#"{"goal":"a","payload":{},"namespace":"\u0000"}"#, "invalid_namespace"),
        (r#"{"goal":"a","payload":{},"target_worker":"\ud800"}"#, "invalid_target_worker"),
        (r#"{"goal":"a","payload":{},"required_capability":"\u0000"}"#, "invalid_required_capability"),
        (r#"{"goal":"a","payload":{},"visibility":"\ud800"}"#, "invalid_request"),
        (r#"{"goal":"a","payload":{},"delay":1e400}"#, "invalid_request"),
        (r#"{"goal":"a","payload":{},"priority":99999999999999999999999}"#, "invalid_request"),
        (r#"{"goal":"a","payload":{},"backoff_base":-1e400}"#, "invalid_request"),
    ];
    for (body, code) in table {
        app.root().publish(body).await.refused(400, code);
    }
}

#[tokio::test]
async fn a_reason_is_readable_whatever_the_worker_sent() {
    let app = TestApp::spawn().await;
    let root = app.root();
    let reasons = [
        r#""\ud800 lone""#,
        r#""nul \u0000""#,
        "1e400",
        r#"{"a":[1,2]}"#,
        r#""\udfff\ud800""#,
        "\"<b>\u{202e}</b>\"",
        "[[[[[[[[[[[[1]]]]]]]]]]]]",
    ];
    for reason in reasons {
        let id = root.published(intent_with("bytes", json!({"max_attempts": 1}))).await;
        let claim = root.claimed("bytes").await;
        root.post(&format!("/fail/{id}"), format!(r#"{{"claim_token":"{}","error":{reason}}}"#, claim.token))
            .await
            .expect(200);
        let error = root.result(&id).await.expect(200)["error"].as_str().unwrap().to_owned();
        assert!(!error.contains('\0'), "{error:?}");
        app.admin().get(&format!("/admin/dead/{id}")).await.expect(200);
    }
    app.admin().get("/admin/dead").await.expect(200);
}
