//! Leases: how they end, what comes after, and that an old claim cannot reach into a new one.

use serde_json::json;

use crate::support::{
    Claim, Client, TestApp,
    factory::{intent, intent_with},
};

async fn published_and_claimed(worker: &Client) -> Claim {
    worker.published(intent("greet")).await;
    worker.claimed("greet").await
}

#[tokio::test]
async fn an_expired_lease_is_claimable_again_after_its_backoff_without_any_background_pass() {
    let app = TestApp::spawn().await;
    let root = app.root();
    let first = published_and_claimed(&root).await;
    root.claim("greet").await.empty();
    app.db.end_lease(&first.id).await;
    root.claim("greet").await.empty();
    app.db.end_lease_and_backoff(&first.id).await;
    let second = root.claimed("greet").await;
    assert_eq!(second.id, first.id);
    assert_eq!(second.body["claim_attempts"], 2);
    assert_ne!(second.token, first.token);
}

#[tokio::test]
async fn the_token_of_an_earlier_claim_is_worth_nothing_once_there_is_another() {
    let app = TestApp::spawn().await;
    let root = app.root();
    let first = published_and_claimed(&root).await;
    app.db.end_lease_and_backoff(&first.id).await;
    let second = root.claimed("greet").await;
    root.fulfill(&first, json!(1)).await.refused(404, "not_found");
    root.fail(&first, "no").await.refused(404, "not_found");
    root.extend(&first, 60).await.refused(404, "not_found");
    assert_eq!(root.status(&first.id).await.expect(200)["status"], "claimed");
    root.fulfill(&second, json!(2)).await.expect(200);
    assert_eq!(root.result(&first.id).await.expect(200)["result"], 2);
    root.fulfill(&first, json!(1)).await.refused(404, "not_found");
}

#[tokio::test]
async fn a_late_finish_counts_as_long_as_nobody_has_claimed_since() {
    let app = TestApp::spawn().await;
    let root = app.root();
    let late = published_and_claimed(&root).await;
    app.db.end_lease_and_backoff(&late.id).await;
    root.fulfill(&late, json!("late")).await.expect(200);
    assert_eq!(root.result(&late.id).await.expect(200)["result"], "late");

    let late = published_and_claimed(&root.declaring("7.61")).await;
    app.db.end_lease(&late.id).await;
    assert_eq!(root.fail(&late, "late").await.expect(200)["status"], "open");
    assert_eq!(root.status(&late.id).await.expect(200)["last_error"], "late");
}

#[tokio::test]
async fn a_late_finish_of_the_last_attempt_counts_until_it_is_buried() {
    let app = TestApp::spawn().await;
    let root = app.root();
    for buried in [false, true] {
        root.published(intent_with("greet", json!({"max_attempts": 1}))).await;
        let claim = root.claimed("greet").await;
        app.db.end_lease(&claim.id).await;
        assert_eq!(root.status(&claim.id).await.expect(200)["status"], "dead");
        root.claim("greet").await.empty();
        if buried {
            assert_eq!(app.admin().cleanup().await.expect(200)["lapsed_claims"], 1);
            root.fulfill(&claim, json!(1)).await.refused(404, "not_found");
        } else {
            root.fulfill(&claim, json!(1)).await.expect(200);
        }
    }
}

#[tokio::test]
async fn an_expired_lease_is_seen_as_open_from_the_end_of_its_backoff() {
    let app = TestApp::spawn().await;
    let root = app.root();
    let claim = published_and_claimed(&root).await;
    let before = root.status(&claim.id).await.expect(200);
    assert!(before["claim_expires_at"].is_f64(), "{before}");
    app.db.end_lease(&claim.id).await;
    let after = root.status(&claim.id).await.expect(200);
    assert_eq!((&after["status"], &after["claim_expires_at"]), (&json!("open"), &json!(null)));
    let wait = after["run_at"].as_f64().unwrap()
        - app.db.value::<f64>("SELECT extract(epoch FROM clock_timestamp())::float8", &[]).await;
    assert!((9.0..=12.1).contains(&wait), "5 s * 2^1 and a jitter below 2 s, not {wait}");
}

#[tokio::test]
async fn a_lease_can_be_extended_while_it_lasts_and_not_after() {
    let app = TestApp::spawn().await;
    let root = app.root();
    let claim = published_and_claimed(&root).await;
    let before = root.status(&claim.id).await.expect(200)["claim_expires_at"].as_f64().unwrap();
    let answer = root.extend(&claim, 600).await.expect(200);
    assert_eq!(answer, json!({"ok": true, "id": claim.id, "extended_by": 600}));
    let after = root.status(&claim.id).await.expect(200)["claim_expires_at"].as_f64().unwrap();
    assert!((after - before - 600.0).abs() < 0.01, "{before} {after}");
    app.db.age(&claim.id, 659.0).await;
    assert_eq!(root.status(&claim.id).await.expect(200)["status"], "claimed");
    app.db.end_lease(&claim.id).await;
    root.extend(&claim, 60).await.refused(404, "not_found");
    root.fulfill(&claim, json!(1)).await.expect(200);
}

#[tokio::test]
async fn the_last_attempt_can_be_extended_too() {
    let app = TestApp::spawn().await;
    let root = app.root();
    root.published(intent_with("greet", json!({"max_attempts": 1}))).await;
    let claim = root.claimed("greet").await;
    root.extend(&claim, 3600).await.expect(200);
    app.db.age(&claim.id, 3600.0).await;
    assert_eq!(root.status(&claim.id).await.expect(200)["status"], "claimed");
    app.db.end_lease(&claim.id).await;
    assert_eq!(root.status(&claim.id).await.expect(200)["status"], "dead");
}

#[tokio::test]
async fn an_intent_whose_leases_keep_ending_is_dead_after_its_last_attempt() {
    let app = TestApp::spawn().await;
    let root = app.root();
    let id = root.published(intent_with("greet", json!({"max_attempts": 3}))).await;
    for attempt in 1..=3 {
        let claim = root.claimed("greet").await;
        assert_eq!(claim.body["claim_attempts"], attempt);
        if attempt < 3 { app.db.end_lease_and_backoff(&id).await } else { app.db.end_lease(&id).await }
    }
    root.claim("greet").await.empty();
    assert_eq!(root.status(&id).await.expect(200)["status"], "dead");
    app.admin().cleanup().await.expect(200);
    let seen = root.status(&id).await.expect(200);
    assert_eq!(
        (&seen["status"], &seen["last_error"]),
        (&json!("dead"), &json!("The lease of the last attempt ended."))
    );
    assert!(seen["completed_at"].is_f64());
}

#[tokio::test]
async fn an_intent_that_nobody_claims_in_time_is_dead() {
    let app = TestApp::with(&[("BUS_INTENT_TTL_SECONDS", "100")]).await;
    let root = app.root();
    let id = root.published(intent("greet")).await;
    app.db.age(&id, 99.0).await;
    assert_eq!(root.status(&id).await.expect(200)["status"], "open");
    app.db.age(&id, 1.0).await;
    assert_eq!(root.status(&id).await.expect(200)["status"], "dead");
    root.claim("greet").await.empty();
}

#[tokio::test]
async fn the_time_to_live_of_a_delayed_intent_begins_when_it_is_due() {
    let app = TestApp::with(&[("BUS_INTENT_TTL_SECONDS", "100")]).await;
    let root = app.root();
    let id = root.published(intent_with("greet", json!({"delay": 1000}))).await;
    app.db.age(&id, 1099.0).await;
    assert_eq!(root.claimed("greet").await.id, id);
}
