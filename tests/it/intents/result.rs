//! `GET /result/{id}`

use serde_json::json;

use crate::support::{
    TestApp,
    factory::{intent, intent_with},
};

#[tokio::test]
async fn before_the_end_a_result_is_a_status() {
    let app = TestApp::spawn().await;
    let root = app.root();
    let id = root.published(intent("greet")).await;
    assert_eq!(root.result(&id).await.expect(200), root.status(&id).await.expect(200));
    root.claimed("greet").await;
    assert_eq!(root.result(&id).await.expect(200), root.status(&id).await.expect(200));
}

#[tokio::test]
async fn a_result_is_for_publisher_last_claimer_and_root_even_if_the_intent_is_public() {
    let app = TestApp::spawn().await;
    let (alice, bob, carol) = (app.tenant("alice").await, app.tenant("bob").await, app.tenant("carol").await);
    let id = alice.published(intent_with("greet", json!({"visibility": "public"}))).await;
    bob.result(&id).await.refused(403, "forbidden");
    let claim = bob.claimed("greet").await;
    bob.result(&id).await.expect(200);
    bob.fulfill(&claim, json!("secret")).await.expect(200);
    for reader in [&alice, &bob, &app.root()] {
        assert_eq!(reader.result(&id).await.expect(200)["result"], "secret");
    }
    let refused = carol.result(&id).await;
    refused.refused(403, "forbidden");
    assert!(!refused.text().contains("secret"));
    app.nobody().result(&id).await.refused(401, "unauthorized");
}

#[tokio::test]
async fn a_claimer_that_was_followed_by_another_is_a_stranger() {
    let app = TestApp::spawn().await;
    let (alice, bob, carol) = (app.tenant("alice").await, app.tenant("bob").await, app.tenant("carol").await);
    let id = alice.published(intent_with("greet", json!({"visibility": "public"}))).await;
    bob.claimed("greet").await;
    app.db.end_lease_and_backoff(&id).await;
    carol.fulfill(&carol.claimed("greet").await, json!(1)).await.expect(200);
    carol.result(&id).await.expect(200);
    bob.result(&id).await.refused(403, "forbidden");
}

#[tokio::test]
async fn a_dead_intent_says_why() {
    let app = TestApp::spawn().await;
    let root = app.root();
    let id = root.published(intent("greet")).await;
    app.admin().cancel(&id).await.expect(200);
    let seen = root.result(&id).await.expect(200);
    assert_eq!((&seen["status"], &seen["error"]), (&json!("dead"), &json!("Cancelled by an operator.")));
}

#[tokio::test]
async fn an_open_intent_shows_its_last_failure_as_error() {
    let app = TestApp::spawn().await;
    let root = app.root().declaring("7.61");
    let id = root.published(intent("greet")).await;
    root.fail(&root.claimed("greet").await, "no paper").await.expect(200);
    let seen = root.result(&id).await.expect(200);
    assert_eq!((&seen["status"], &seen["error"]), (&json!("open"), &json!("no paper")));
}
