//! `POST /claim`: what is asked for, what comes back. Who gets what is in `eligibility`, in which order in `order`.

use std::collections::BTreeSet;

use serde_json::json;

use crate::support::{
    TestApp,
    factory::{intent, intent_with},
};

#[tokio::test]
async fn a_claim_that_finds_nothing_is_204_without_a_body_and_says_when_to_ask_again() {
    let app = TestApp::spawn().await;
    let answer = app.root().claim("greet").await;
    answer.empty();
    assert_eq!(answer.header("retry-after"), Some("1"));
}

#[tokio::test]
async fn a_claim_carries_what_a_worker_needs() {
    let app = TestApp::with(&[("BUS_CLAIM_TIMEOUT_SECONDS", "77")]).await;
    let body = intent_with("greet", json!({"priority": 7, "target_worker": "pi", "required_capability": "gpu"}));
    let id = app.root().published(body).await;
    let worker = app.root().with("x-worker-id", "pi").with("x-worker-capabilities", "gpu");
    let claim = worker.claimed("greet").await;
    let expected = json!({
        "id": id, "namespace": "default", "goal": "greet", "payload": {"n": 1}, "claim_attempts": 1, "priority": 7,
        "target_worker": "pi", "required_capability": "gpu", "claim_token": claim.token, "claim_timeout": 77,
    });
    assert_eq!(claim.body, expected);
    assert!(claim.token.len() >= 32, "at least 128 bits");
    let seen = app.admin().get(&format!("/admin/intents/{id}")).await.expect(200);
    assert_eq!((&seen["status"], &seen["worker_id"]), (&json!("claimed"), &json!("pi")));
}

#[tokio::test]
async fn the_lease_lasts_as_long_as_the_answer_says() {
    let app = TestApp::with(&[("BUS_CLAIM_TIMEOUT_SECONDS", "500")]).await;
    app.root().published(intent("greet")).await;
    let claim = app.root().claimed("greet").await;
    let left: f64 =
        app.db.value("SELECT extract(epoch FROM lease_until - clock_timestamp())::float8 FROM intents", &[]).await;
    assert!(left > 490.0 && left <= 500.0, "{left}");
    let seen = app.root().status(&claim.id).await.expect(200);
    assert!(seen["claim_expires_at"].as_f64().unwrap() > seen["run_at"].as_f64().unwrap() + 490.0, "{seen}");
}

#[tokio::test]
async fn headers_go_before_the_query() {
    let app = TestApp::spawn().await;
    let root = app.root();
    let for_pi = intent_with("greet", json!({"target_worker": "pi", "required_capability": "gpu"}));
    root.published(&for_pi).await;
    let query = "/claim?goal=greet&worker_id=pi&capabilities=gpu";
    root.with("x-worker-id", "other").post(query, "").await.empty();
    root.with("x-worker-capabilities", "ocr").post(query, "").await.empty();
    root.post(query, "").await.claim();
}

#[tokio::test]
async fn capabilities_are_a_list_with_commas_and_spaces() {
    let app = TestApp::spawn().await;
    let root = app.root();
    for given in ["gpu", " gpu ", "ocr,gpu", "ocr , gpu,,gpu,"] {
        root.published(intent_with("greet", json!({"required_capability": "gpu"}))).await;
        root.with("x-worker-capabilities", given).claim("greet").await.claim();
    }
    root.published(intent_with("greet", json!({"required_capability": "gpu"}))).await;
    for given in ["", "GPU", "gp", "gpu2", "ocr"] {
        root.with("x-worker-capabilities", given).claim("greet").await.empty();
    }
    root.post("/claim?goal=greet&capabilities=ocr,gpu", "").await.claim();
}

#[tokio::test]
async fn workers_and_capabilities_that_are_no_names_are_refused() {
    let app = TestApp::spawn().await;
    let root = app.root();
    let many: Vec<String> = (0..33).map(|number| format!("c{number}")).collect();
    for capabilities in ["a b", "é", &"c".repeat(65), &many.join(",")] {
        root.with("x-worker-capabilities", capabilities).claim("greet").await.refused(400, "invalid_request");
    }
    root.with("x-worker-capabilities", many[..32].join(",")).claim("greet").await.empty();
    for worker in ["w".repeat(129), "a\tb".to_owned()] {
        root.with("x-worker-id", worker).claim("greet").await.refused(400, "invalid_request");
    }
    root.with("x-worker-id", "Büro Zürich 1").claim("greet").await.empty();
    root.with("x-worker-id", b"latin\xe9").claim("greet").await.empty();
    root.post("/claim?goal=greet&worker_id=a%00b", "").await.refused(400, "invalid_request");
}

#[tokio::test]
async fn a_query_that_cannot_be_used_is_refused() {
    let app = TestApp::spawn().await;
    let root = app.root();
    for (query, code) in [
        ("goal=", "invalid_goal"),
        ("goal=%20", "invalid_goal"),
        ("goal=a%00b", "invalid_goal"),
        ("goal=%ff", "invalid_request"),
        ("goal=a&goal=b", "invalid_request"),
        ("namespace=a/b", "invalid_namespace"),
        ("namespace=", "invalid_namespace"),
        ("namespace=a&namespace=a", "invalid_request"),
    ] {
        root.post(&format!("/claim?{query}"), "").await.refused(400, code);
    }
}

#[tokio::test]
async fn a_claim_without_a_goal_takes_any() {
    let app = TestApp::spawn().await;
    let id = app.root().published(intent("whatever it is")).await;
    assert_eq!(app.root().post("/claim", "").await.claim().id, id);
}

#[tokio::test]
async fn the_body_of_a_claim_is_ignored() {
    let app = TestApp::spawn().await;
    for body in ["", "{}", "not json", r#"{"goal": "other"}"#] {
        app.root().published(intent("greet")).await;
        app.root().post("/claim?goal=greet", body).await.claim();
    }
}

#[tokio::test]
async fn a_goal_of_any_letters_is_found_again() {
    let app = TestApp::spawn().await;
    let root = app.root();
    for (goal, query) in [
        ("a b+c&d", "a+b%2Bc%26d"),
        ("a b+c&d", "%20a%20b%2Bc%26d%20"),
        ("größe/日本", "gr%C3%B6%C3%9Fe%2F%E6%97%A5%E6%9C%AC"),
    ] {
        let id = root.published(intent(goal)).await;
        assert_eq!(root.claimed(query).await.id, id, "{query}");
    }
}

#[tokio::test]
async fn a_tenant_may_ask_for_its_own_intents_only() {
    let app = TestApp::spawn().await;
    let (alice, bob) = (app.tenant("alice").await, app.tenant("bob").await);
    bob.published(intent_with("greet", json!({"visibility": "public"}))).await;
    let asking = |key: &str| format!("/claim?goal=greet&publisher={key}");
    alice.post(&asking(alice.api_key()), "").await.empty();
    let own = alice.published(intent("greet")).await;
    assert_eq!(alice.post(&asking(alice.api_key()), "").await.claim().id, own);
    for other in [bob.api_key(), app.root().api_key(), "tk_unknown", ""] {
        alice.post(&asking(other), "").await.refused(403, "forbidden");
    }
    alice.claimed("greet").await;
}

#[tokio::test]
async fn root_may_ask_for_anybodys_intents() {
    let app = TestApp::spawn().await;
    let (alice, bob, root) = (app.tenant("alice").await, app.tenant("bob").await, app.root());
    let private = alice.published(intent("greet")).await;
    bob.published(intent_with("greet", json!({"visibility": "public", "priority": 1000}))).await;
    let asking = |key: &str| format!("/claim?goal=greet&publisher={key}");
    root.post(&asking("tk_unknown"), "").await.empty();
    root.post(&asking(root.api_key()), "").await.empty();
    assert_eq!(root.post(&asking(alice.api_key()), "").await.claim().id, private);
    root.post(&asking(alice.api_key()), "").await.empty();
    root.post(&asking(bob.api_key()), "").await.claim();
}

#[tokio::test]
async fn claims_at_the_same_moment_get_an_intent_each() {
    let app = TestApp::with(&[("BUS_DATABASE_POOL_SIZE", "20")]).await;
    let root = app.root();
    let mut published = BTreeSet::new();
    for _ in 0..20 {
        published.insert(root.published(intent("greet")).await);
    }
    let claims = futures_util::future::join_all((0..30).map(|_| root.claim("greet"))).await;
    let mut claimed = BTreeSet::new();
    for answer in claims.iter().filter(|answer| answer.status == 200) {
        assert!(claimed.insert(answer.claim().id), "claimed twice");
    }
    // A claim may find a row locked by another and go away empty-handed; nothing may be lost by that.
    while let Some(claim) = Some(root.claim("greet").await).filter(|answer| answer.status == 200) {
        assert!(claimed.insert(claim.claim().id), "claimed twice");
    }
    assert_eq!(claimed, published);
}

#[tokio::test]
async fn tokens_differ_and_only_their_hash_is_stored() {
    let app = TestApp::spawn().await;
    let mut tokens = BTreeSet::new();
    for _ in 0..3 {
        app.root().published(intent("greet")).await;
        tokens.insert(app.root().claimed("greet").await.token);
    }
    assert_eq!(tokens.len(), 3);
    let stored: String = app.db.value("SELECT string_agg(intents::text, ' ') FROM intents", &[]).await;
    for token in tokens {
        assert!(!stored.replace('-', "").contains(&token), "{stored}");
    }
}
