//! What is paused is not handed out.

use std::time::{Duration, Instant};

use crate::support::{
    Client, TestApp,
    factory::{intent, intent_with},
};
use serde_json::json;

/// Every replica knows within a second.
const KNOWN: Duration = Duration::from_secs(1);

async fn pause(app: &TestApp, namespace: &str, goal: &str) {
    app.db.execute("INSERT INTO pauses (namespace, goal) VALUES ($1, $2)", &[&namespace, &goal]).await;
    tokio::time::sleep(KNOWN).await;
}

async fn claimed_soon(client: &Client, goal: &str) -> Duration {
    let began = Instant::now();
    client.claim_waiting(goal, 10).await.claim();
    began.elapsed()
}

#[tokio::test]
async fn a_paused_goal_is_published_and_not_claimed_until_it_is_resumed() {
    let app = TestApp::spawn().await;
    let root = app.root();
    pause(&app, "default", "greet").await;
    root.published(intent("greet")).await;
    let other = root.published(intent("other")).await;
    root.claim("greet").await.empty();
    assert_eq!(root.claimed("other").await.id, other);
    app.db.batch("DELETE FROM pauses").await;
    // A claim that waits is woken by it.
    let took = claimed_soon(&root, "greet").await;
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test]
async fn a_claim_for_any_goal_passes_over_the_paused_ones_and_forgets_none() {
    let app = TestApp::spawn().await;
    let root = app.root();
    let mut paused = Vec::new();
    for _ in 0..3 {
        paused.push(root.published(intent("paused")).await);
    }
    let open = root.published(intent("open")).await;
    let urgent = root.published(intent_with("paused", json!({"priority": 900}))).await;
    pause(&app, "default", "paused").await;
    let any = || async { root.post("/claim", "").await };
    assert_eq!(any().await.claim().id, open);
    any().await.empty();
    app.db.batch("DELETE FROM pauses").await;
    tokio::time::sleep(KNOWN).await;
    assert_eq!(any().await.claim().id, urgent);
    for id in paused {
        assert_eq!(any().await.claim().id, id);
    }
}

#[tokio::test]
async fn a_paused_namespace_hands_out_nothing_and_the_others_do() {
    let app = TestApp::spawn().await;
    let root = app.root();
    root.published(intent_with("greet", json!({"namespace": "east"}))).await;
    root.published(intent("greet")).await;
    pause(&app, "east", "").await;
    root.post("/claim?namespace=east", "").await.empty();
    root.post("/claim?namespace=east&goal=greet", "").await.empty();
    root.claimed("greet").await;
}

#[tokio::test]
async fn a_claim_for_something_paused_uses_its_nonce_and_its_place_in_the_minute() {
    let app = TestApp::with(&[("BUS_RATE_LIMIT_PER_MINUTE", "2")]).await;
    let alice = app.limited_tenant("alice").await;
    pause(&app, "default", "greet").await;
    alice.claim("greet").await.empty();
    alice.claim("greet").await.empty();
    alice.claim("greet").await.refused(429, "rate_limited");
}

#[tokio::test]
async fn what_low_water_marks_passed_over_while_it_was_paused_is_claimed_once_it_is_resumed() {
    let app = TestApp::spawn().await;
    let root = app.root();
    root.published_many(&vec![intent("paused"); 300]).await;
    pause(&app, "default", "paused").await;
    root.published_many(&vec![intent("open"); 400]).await;
    let any = |limit: usize| {
        let root = root.clone();
        async move { root.post(&format!("/claim?limit={limit}"), "").await.claims() }
    };
    // Enough for a mark; each by itself, so that it moves.
    for _ in 0..40 {
        let claims = any(10).await;
        assert_eq!(claims.len(), 10);
        assert!(claims.iter().all(|claim| claim.body["goal"] == "open"));
    }
    root.post("/claim", "").await.empty();
    app.db.batch("DELETE FROM pauses").await;
    tokio::time::sleep(KNOWN).await;
    assert_eq!(any(1000).await.len(), 300);
}

#[tokio::test]
async fn a_replica_that_has_just_started_knows_what_is_paused() {
    let app = TestApp::spawn().await;
    app.db.execute("INSERT INTO pauses (namespace, goal) VALUES ('default', 'greet')", &[]).await;
    let replica = app.replica(&[]).await;
    replica.root().published(intent("greet")).await;
    replica.root().claim("greet").await.empty();
}
