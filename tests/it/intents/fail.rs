//! `POST /fail/{id}`. Where the generations differ is in `generations`.

use serde_json::{Value, json};

use crate::support::{
    TestApp,
    factory::{intent, intent_with},
};

#[tokio::test]
async fn a_failed_attempt_is_open_again_after_its_backoff() {
    let app = TestApp::spawn().await;
    let root = app.root();
    let id = root.published(intent_with("greet", json!({"max_attempts": 3, "backoff_base": 7}))).await;
    for attempt in 1..=2_i32 {
        let claim = root.claimed("greet").await;
        let answer = root.fail(&claim, "no paper").await.expect(200);
        assert_eq!(answer, json!({"ok": true, "id": id, "status": "open"}));
        let seen = root.status(&id).await.expect(200);
        assert_eq!((&seen["status"], &seen["last_error"]), (&json!("open"), &json!("no paper")));
        assert_eq!((&seen["claim_attempts"], &seen["claim_expires_at"]), (&json!(attempt), &Value::Null));
        let now: f64 = app.db.value("SELECT extract(epoch FROM clock_timestamp())::float8", &[]).await;
        let (wait, backoff) = (seen["run_at"].as_f64().unwrap() - now, 7.0 * 2.0_f64.powi(attempt));
        assert!((backoff - 1.0..=backoff + 2.0).contains(&wait), "attempt {attempt}: {wait}");
        root.claim("greet").await.empty();
        app.db.make_due(&id).await;
    }
    let claim = root.claimed("greet").await;
    assert_eq!(root.fail(&claim, "still none").await.expect(200)["status"], "failed");
    let seen = root.result(&id).await.expect(200);
    assert_eq!((&seen["status"], &seen["error"]), (&json!("dead"), &json!("still none")));
    assert_eq!((&seen["last_error"], &seen["claim_attempts"]), (&json!("still none"), &json!(3)));
    assert!(seen["completed_at"].is_f64());
}

#[tokio::test]
async fn the_token_of_a_failed_attempt_is_worth_nothing() {
    let app = TestApp::spawn().await;
    let root = app.root().declaring("7.61");
    root.published(intent("greet")).await;
    let claim = root.claimed("greet").await;
    root.fail(&claim, "no").await.expect(200);
    root.fail(&claim, "no").await.refused(404, "not_found");
    root.fulfill(&claim, json!(1)).await.refused(404, "not_found");
    root.extend(&claim, 60).await.refused(404, "not_found");
}

#[tokio::test]
async fn an_error_is_kept_to_500_letters() {
    let app = TestApp::spawn().await;
    let root = app.root();
    for (given, kept) in [
        (json!("é".repeat(700)), "é".repeat(500)),
        (json!("short"), "short".to_owned()),
        (json!({"code": 5}), r#"{"code":5}"#.to_owned()),
        (json!("a\0b"), "a\u{fffd}b".to_owned()),
        (json!(""), String::new()),
    ] {
        root.published(intent("greet")).await;
        let claim = root.claimed("greet").await;
        root.finish("fail", &claim, json!({"error": given})).await.expect(200);
        assert_eq!(root.result(&claim.id).await.expect(200)["error"], kept);
    }
}

#[tokio::test]
async fn a_failure_without_a_word_is_still_a_failure() {
    let app = TestApp::spawn().await;
    let root = app.root();
    for body in [json!({}), json!({"error": null})] {
        root.published(intent("greet")).await;
        let claim = root.claimed("greet").await;
        root.finish("fail", &claim, body).await.expect(200);
        let seen = root.result(&claim.id).await.expect(200);
        assert!(!seen["error"].as_str().unwrap().is_empty(), "{seen}");
    }
}

#[tokio::test]
async fn the_last_failure_stays_to_be_seen_after_a_success() {
    let app = TestApp::spawn().await;
    let root = app.root().declaring("7.61");
    let id = root.published(intent("greet")).await;
    root.fail(&root.claimed("greet").await, "at first").await.expect(200);
    app.db.make_due(&id).await;
    root.fulfill(&root.claimed("greet").await, json!(1)).await.expect(200);
    let seen = root.result(&id).await.expect(200);
    assert_eq!((&seen["status"], &seen["last_error"]), (&json!("fulfilled"), &json!("at first")));
    assert!(!seen.as_object().unwrap().contains_key("error"), "{seen}");
}
