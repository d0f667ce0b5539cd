//! `GET /status/{id}`

use serde_json::json;

use crate::support::{
    TestApp,
    factory::{intent, intent_with},
};

#[tokio::test]
async fn a_status_has_all_its_fields_in_every_state() {
    let app = TestApp::spawn().await;
    let root = app.root().declaring("7.61");
    let mut fields = [
        "claim_attempts",
        "claim_expires_at",
        "completed_at",
        "goal",
        "id",
        "last_error",
        "namespace",
        "priority",
        "required_capability",
        "run_at",
        "status",
        "target_worker",
        "visibility",
    ];
    fields.sort_unstable();
    let id = root.published(intent("greet")).await;
    let mut seen = Vec::new();
    seen.push(root.status(&id).await.expect(200));
    let claim = root.claimed("greet").await;
    seen.push(root.status(&id).await.expect(200));
    root.fulfill(&claim, json!(1)).await.expect(200);
    seen.push(root.status(&id).await.expect(200));
    app.admin().cancel(&id).await.expect(200);
    seen.push(root.status(&id).await.expect(200));
    let states: Vec<&str> = seen.iter().map(|seen| seen["status"].as_str().unwrap()).collect();
    assert_eq!(states, ["open", "claimed", "fulfilled", "dead"]);
    for seen in &seen {
        assert_eq!(seen.as_object().unwrap().keys().collect::<Vec<_>>(), fields);
        assert!(seen["run_at"].is_f64(), "{seen}");
    }
}

#[tokio::test]
async fn a_private_intent_is_seen_by_its_publisher_its_last_claimer_and_root() {
    let app = TestApp::spawn().await;
    let (alice, bob) = (app.tenant("alice").await, app.tenant("bob").await);
    let id = alice.published(intent("greet")).await;
    alice.status(&id).await.expect(200);
    app.root().status(&id).await.expect(200);
    bob.status(&id).await.refused(403, "forbidden");
    app.nobody().status(&id).await.refused(401, "unauthorized");
}

#[tokio::test]
async fn a_public_intent_is_seen_by_everybody_with_a_key() {
    let app = TestApp::spawn().await;
    let (alice, bob) = (app.tenant("alice").await, app.tenant("bob").await);
    let id = alice.published(intent_with("greet", json!({"visibility": "public"}))).await;
    assert_eq!(bob.status(&id).await.expect(200)["visibility"], "public");
    bob.fulfill(&bob.claimed("greet").await, json!(1)).await.expect(200);
    assert_eq!(app.tenant("carol").await.status(&id).await.expect(200)["status"], "fulfilled");
}

#[tokio::test]
async fn an_intent_that_does_not_exist_is_not_found() {
    let app = TestApp::spawn().await;
    for id in ["0".repeat(32).as_str(), "x", "%00", &"f".repeat(33), "0123456789abcdef0123456789abcdeg", "%F0%9F%9A%80"]
    {
        app.root().status(id).await.refused(404, "not_found");
        app.root().result(id).await.refused(404, "not_found");
    }
}

#[tokio::test]
async fn an_id_in_capitals_is_the_same_intent() {
    let app = TestApp::spawn().await;
    let id = app.root().published(intent("greet")).await;
    assert_eq!(app.root().status(&id.to_uppercase()).await.expect(200)["id"], id);
}

#[tokio::test]
async fn no_claim_token_is_shown() {
    let app = TestApp::spawn().await;
    let root = app.root();
    let id = root.published(intent("greet")).await;
    let token = root.claimed("greet").await.token;
    for answer in
        [root.status(&id).await, root.result(&id).await, app.admin().get(&format!("/admin/intents/{id}")).await]
    {
        assert!(!answer.text().contains(&token) && !answer.text().contains("token"), "{}", answer.text());
    }
}
