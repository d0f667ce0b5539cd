//! What is kept of earlier attempts.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{
    TestApp,
    factory::{intent, intent_with},
};

async fn attempts(app: &TestApp, table: &str, id: &str) -> Vec<Value> {
    let sql = format!("SELECT past_attempts::text FROM {table} WHERE id = $1");
    let text: Option<String> = app.db.value(&sql, &[&Uuid::try_parse(id).unwrap()]).await;
    text.map_or_else(Vec::new, |text| serde_json::from_str(&text).unwrap())
}

#[tokio::test]
async fn an_attempt_that_failed_is_kept_with_its_worker_its_times_and_its_error() {
    let app = TestApp::spawn().await;
    let root = app.root().declaring("7.61").with("x-worker-id", "pi");
    let id = root.published(intent("greet")).await;
    root.fail(&root.claimed("greet").await, "no paper").await.expect(200);
    let kept = attempts(&app, "intents", &id).await;
    assert_eq!(kept.len(), 1, "{kept:?}");
    let attempt = &kept[0];
    assert_eq!(
        (&attempt["attempt"], &attempt["worker"], &attempt["outcome"], &attempt["error"]),
        (&json!(1), &json!("pi"), &json!("failed"), &json!("no paper"))
    );
    assert!(attempt["claimed_at"].as_f64().unwrap() <= attempt["ended_at"].as_f64().unwrap(), "{attempt}");
}

#[tokio::test]
async fn an_attempt_whose_lease_ended_is_kept_when_the_next_one_begins_and_goes_with_the_intent() {
    let app = TestApp::spawn().await;
    let root = app.root();
    let id = root.published(intent("greet")).await;
    let first = root.with("x-worker-id", "gone").claimed("greet").await;
    app.db.end_lease_and_backoff(&first.id).await;
    let second = root.claimed("greet").await;
    root.fulfill(&second, json!(1)).await.expect(200);
    let kept = attempts(&app, "finished", &id).await;
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!((&kept[0]["worker"], &kept[0]["outcome"]), (&json!("gone"), &json!("lapsed")));
}

#[tokio::test]
async fn an_intent_that_went_well_at_once_has_no_earlier_attempts() {
    let app = TestApp::spawn().await;
    let root = app.root();
    let id = root.published(intent("greet")).await;
    root.fulfill(&root.claimed("greet").await, json!(1)).await.expect(200);
    assert_eq!(attempts(&app, "finished", &id).await, Vec::<Value>::new());
}

#[tokio::test]
async fn retrying_keeps_what_was_tried_and_no_more_than_twenty_of_it() {
    let app = TestApp::spawn().await;
    let root = app.root().declaring("7.61");
    let id = root.published(intent_with("greet", json!({"max_attempts": 1}))).await;
    for number in 0..22 {
        root.fail(&root.claimed("greet").await, &format!("error {number}")).await.expect(200);
        app.admin().retry(&id).await.expect(200);
    }
    let kept = attempts(&app, "intents", &id).await;
    assert_eq!(kept.len(), 20);
    assert_eq!((&kept[0]["error"], &kept[19]["error"]), (&json!("error 2"), &json!("error 21")));
}
