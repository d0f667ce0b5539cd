//! `POST /fulfill/{id}`

use intent_bus::{domain::ids::ClaimToken, store::statements};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{
    Claim, Client, TestApp,
    factory::{intent, intent_with},
};

async fn held(worker: &Client) -> Claim {
    worker.published(intent("greet")).await;
    worker.claimed("greet").await
}

#[tokio::test]
async fn a_fulfilled_intent_is_fulfilled_for_good() {
    let app = TestApp::spawn().await;
    let root = app.root();
    let claim = held(&root).await;
    let answer = root.fulfill(&claim, json!({"a": [1, 2]})).await.expect(200);
    assert_eq!(answer, json!({"ok": true, "id": claim.id}));
    let seen = root.result(&claim.id).await.expect(200);
    assert_eq!(
        (&seen["status"], &seen["result"], &seen["result_type"]),
        (&json!("fulfilled"), &json!({"a": [1, 2]}), &json!("json"))
    );
    assert!(seen["completed_at"].is_f64() && seen["claim_expires_at"].is_null());
    root.fulfill(&claim, json!(2)).await.refused(404, "not_found");
    root.fail(&claim, "no").await.refused(404, "not_found");
    root.extend(&claim, 60).await.refused(404, "not_found");
    root.claim("greet").await.empty();
    assert_eq!(root.result(&claim.id).await.expect(200)["result"], json!({"a": [1, 2]}));
}

#[tokio::test]
async fn of_two_claims_of_one_tenant_the_one_that_ended_an_intent_is_known() {
    let app = TestApp::spawn().await;
    let root = app.root();
    let lost = held(&root).await;
    app.db.end_lease_and_backoff(&lost.id).await;
    let claim = root.claimed("greet").await;
    root.fulfill(&claim, json!(1)).await.expect(200);
    // What is asked after a lost answer to COMMIT.
    let name = "intents/has_fulfilled.sql";
    let (_, has_fulfilled) = statements::all().into_iter().find(|(known, _)| *known == name).expect("the statement");
    let id = Uuid::try_parse(&claim.id).unwrap();
    for (token, ended) in [(Some(&claim.token), 1), (Some(&lost.token), 0), (None, 1)] {
        let hash = token.map(|token| ClaimToken::hash_of(token));
        let rows = app.db.rows(has_fulfilled, &[&id, &0_i64, &hash]).await;
        assert_eq!(rows.len(), ended, "{token:?}");
    }
}

#[tokio::test]
async fn only_the_claim_itself_finishes_an_intent() {
    let app = TestApp::spawn().await;
    let (root, alice) = (app.root(), app.tenant("alice").await);
    let claim = held(&root).await;
    let other = held(&root).await;
    let with_token = |token: &Value| json!({"claim_token": token, "result": 1});
    let target = format!("/fulfill/{}", claim.id);
    for token in [
        json!("0".repeat(32)),
        json!(""),
        json!(other.token),
        json!(claim.token.to_uppercase()),
        json!(format!("{} ", claim.token)),
    ] {
        root.post(&target, with_token(&token)).await.refused(404, "not_found");
    }
    for token in [json!(5), json!(["a"]), json!({"a": 1}), json!(true)] {
        root.post(&target, with_token(&token)).await.refused(400, "invalid_request");
    }
    // Another key, even with the right token.
    alice.fulfill(&claim, json!(1)).await.refused(404, "not_found");
    let public = alice.published(intent_with("public", json!({"visibility": "public"}))).await;
    let held_by_alice = alice.claimed("public").await;
    assert_eq!(held_by_alice.id, public);
    root.fulfill(&held_by_alice, json!(1)).await.refused(404, "not_found");
    root.fulfill(&claim, json!(1)).await.expect(200);
}

#[tokio::test]
async fn what_was_never_claimed_or_never_published_is_not_found() {
    let app = TestApp::spawn().await;
    let root = app.root();
    let open = root.published(intent("greet")).await;
    for id in
        [open.as_str(), "0".repeat(32).as_str(), "x", "0", "not-an-id", "%00", "00000000-0000-0000-0000-000000000000"]
    {
        for verb in ["fulfill", "fail", "extend_claim"] {
            let body = json!({"claim_token": "0".repeat(32), "seconds": 60});
            let answer = root.post(&format!("/{verb}/{id}"), body).await;
            assert_eq!(answer.status, 404, "{verb} {id}");
        }
    }
}

#[tokio::test]
async fn a_result_may_be_any_json_or_nothing_at_all() {
    let app = TestApp::spawn().await;
    let root = app.root();
    for result in [json!(null), json!(0), json!(""), json!("text"), json!([]), json!({}), json!(false), json!([null])] {
        let claim = held(&root).await;
        root.fulfill(&claim, result.clone()).await.expect(200);
        let seen = root.result(&claim.id).await.expect(200);
        assert!(seen.as_object().unwrap().contains_key("result"), "{seen}");
        assert_eq!((&seen["result"], &seen["result_type"]), (&result, &json!("json")));
    }
    let claim = held(&root).await;
    root.post(&format!("/fulfill/{}", claim.id), json!({"claim_token": claim.token})).await.expect(200);
    let seen = root.result(&claim.id).await.expect(200);
    assert!(
        ["result", "result_type", "error"].iter().all(|name| !seen.as_object().unwrap().contains_key(*name)),
        "{seen}"
    );
}

#[tokio::test]
async fn a_result_of_type_text_is_a_string() {
    let app = TestApp::spawn().await;
    let root = app.root();
    let claim = held(&root).await;
    for body in [
        json!({"result": 5, "result_type": "text"}),
        json!({"result": null, "result_type": "text"}),
        json!({"result": ["a"], "result_type": "text"}),
        json!({"result": "a", "result_type": "xml"}),
        json!({"result": "a", "result_type": 5}),
    ] {
        root.finish("fulfill", &claim, body).await.refused(400, "invalid_request");
    }
    root.finish("fulfill", &claim, json!({"result": "done", "result_type": "text"})).await.expect(200);
    let seen = root.result(&claim.id).await.expect(200);
    assert_eq!((&seen["result"], &seen["result_type"]), (&json!("done"), &json!("text")));
}

#[tokio::test]
async fn other_fields_are_ignored() {
    let app = TestApp::spawn().await;
    let root = app.root();
    let claim = held(&root).await;
    let body = json!({"result": 1, "worker_id": "pi", "error": 5, "seconds": "x", "status": {"a": []}});
    root.finish("fulfill", &claim, body).await.expect(200);
}

#[tokio::test]
async fn a_body_that_is_not_an_object_leaves_the_claim_as_it_is() {
    let app = TestApp::spawn().await;
    let root = app.root();
    let claim = held(&root).await;
    let target = format!("/fulfill/{}", claim.id);
    root.post(&target, "{").await.refused(400, "invalid_json");
    root.post(&target, "[]").await.refused(400, "invalid_request");
    assert_eq!(root.status(&claim.id).await.expect(200)["status"], "claimed");
}

#[tokio::test]
async fn of_many_finishes_at_the_same_moment_one_counts() {
    let app = TestApp::with(&[("BUS_DATABASE_POOL_SIZE", "20")]).await;
    let root = app.root().declaring("7.61");
    for _ in 0..5 {
        let claim = held(&root).await;
        let (root, claim) = (&root, &claim);
        let finishes = (0..12).map(|number| async move {
            if number % 2 == 0 { root.fulfill(claim, json!(number)).await } else { root.fail(claim, "no").await }
        });
        let answers = futures_util::future::join_all(finishes).await;
        let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [vec![200], vec![404; 11]].concat());
    }
}

#[tokio::test]
async fn a_tenant_finishes_what_it_has_claimed_of_another() {
    let app = TestApp::spawn().await;
    let (alice, bob) = (app.tenant("alice").await, app.tenant("bob").await);
    let id = alice.published(intent_with("greet", json!({"visibility": "public"}))).await;
    let claim = bob.claimed("greet").await;
    alice.fulfill(&claim, json!("mine")).await.refused(404, "not_found");
    bob.fulfill(&claim, json!("bob's")).await.expect(200);
    assert_eq!(alice.result(&id).await.expect(200)["result"], "bob's");
}
