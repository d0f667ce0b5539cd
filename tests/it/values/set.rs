//! `POST /set/{key}`

use serde_json::json;

use crate::support::TestApp;

#[tokio::test]
async fn a_value_is_kept_as_text() {
    let app = TestApp::spawn().await;
    let root = app.root();
    let table = [
        (r#"{"value": "text"}"#, "text"),
        (r#"{"value": ""}"#, ""),
        (r#"{"value": 5}"#, "5"),
        (r#"{"value": 1e400}"#, "1e400"),
        (r#"{"value": 1234567890123456789012345678901}"#, "1234567890123456789012345678901"),
        (r#"{"value": null}"#, "null"),
        (r#"{"value": true}"#, "true"),
        (r#"{"value": { "b" : [ 1 , 2.50 ] , "a" : "x y" } }"#, r#"{"b":[1,2.50],"a":"x y"}"#),
        (r#"{"value": [ ] }"#, "[]"),
        (r#"{"value": "a \"quoted\" é \u00e9 \\ text"}"#, "a \"quoted\" é é \\ text"),
    ];
    for (body, kept) in table {
        assert_eq!(root.post("/set/k", body).await.expect(200), json!({"ok": true}), "{body}");
        assert_eq!(root.value("k").await.expect(200), json!({"value": kept}), "{body}");
    }
}

#[tokio::test]
async fn a_later_value_takes_the_place_of_an_earlier_one() {
    let app = TestApp::spawn().await;
    app.root().set("k", json!("one")).await.expect(200);
    app.root().set("k", json!("two")).await.expect(200);
    assert_eq!(app.root().value("k").await.expect(200)["value"], "two");
    assert_eq!(app.db.count("key_values").await, 1);
}

#[tokio::test]
async fn a_ttl_is_a_whole_number_of_seconds_up_to_a_day_and_ten_minutes_if_left_out() {
    let app = TestApp::spawn().await;
    let root = app.root();
    for ttl in [json!(0), json!(-1), json!(86_401), json!(1.5), json!("60"), json!(true), json!([])] {
        root.post("/set/k", json!({"value": 1, "ttl": ttl})).await.refused(400, "invalid_request");
    }
    for (ttl, seconds) in [(json!(1), 1.0), (json!(86_400), 86_400.0), (json!(null), 600.0)] {
        root.post("/set/k", json!({"value": 1, "ttl": ttl})).await.expect(200);
        let left: f64 = app
            .db
            .value("SELECT extract(epoch FROM expires_at - clock_timestamp())::float8 FROM key_values", &[])
            .await;
        assert!(left <= seconds && left > seconds - 1.0, "{left} of {seconds}");
    }
}

#[tokio::test]
async fn a_value_is_required_and_the_body_is_an_object() {
    let app = TestApp::spawn().await;
    let root = app.root();
    for body in ["{}", "[]", "1", r#"{"ttl": 5}"#] {
        root.post("/set/k", body).await.refused(400, "invalid_request");
    }
    for body in ["", "{", "value=1"] {
        root.post("/set/k", body).await.refused(400, "invalid_json");
    }
}

#[tokio::test]
async fn a_key_may_be_any_text() {
    let app = TestApp::spawn().await;
    let root = app.root();
    let keys = [
        "plain",
        "with/slashes/in/it",
        "a%20b",
        "a+b",
        "%F0%9F%9A%80",
        "%D7%A9%D7%9C%D7%95%D7%9D",
        "..%2f..%2fetc",
        "a%3Fb",
        "%25zz",
        "q%26a%3D1",
        "%E2%80%AEreversed",
        "a%0Ab",
    ];
    for (number, key) in keys.iter().enumerate() {
        root.set(key, json!(number)).await.expect(200);
    }
    for (number, key) in keys.iter().enumerate() {
        assert_eq!(root.value(key).await.expect(200)["value"], number.to_string(), "{key}");
    }
    // The same key in another writing.
    assert_eq!(root.value("with%2Fslashes%2fin/it").await.expect(200)["value"], "1");
    assert_eq!(root.value("%70lain").await.expect(200)["value"], "0");
}

#[tokio::test]
async fn a_key_that_cannot_be_kept_is_refused() {
    let app = TestApp::spawn().await;
    let root = app.root();
    for key in ["", "%00", "a%00b", "%ff", "%C3", "%ED%A0%80", &"k".repeat(513)] {
        root.set(key, json!(1)).await.refused(400, "invalid_request");
        root.value(key).await.refused(400, "invalid_request");
    }
    root.set(&"k".repeat(512), json!(1)).await.expect(200);
}
