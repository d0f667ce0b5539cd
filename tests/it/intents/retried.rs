//! Claims that are asked for again because their answer was lost, by the id that the client gave to the request.

use std::collections::HashSet;

use futures_util::future::{join, join_all};
use serde_json::{Value, json};

use crate::support::{
    Claim, Client, TestApp,
    client::unix_now,
    factory::{intent, intent_with},
};

/// The client of a request with this id.
fn asking(client: &Client, id: &str) -> Client {
    client.with("x-claim-request-id", id)
}

#[tokio::test]
async fn the_same_request_gets_the_same_lease_again_from_any_replica_and_its_id_back() {
    let app = TestApp::spawn().await;
    let other = app.replica(&[]).await;
    let root = app.root();
    root.published_many(&[intent("greet"), intent("greet")]).await;
    let first = asking(&root, "one").claim("greet").await;
    assert_eq!(first.header("x-claim-request-id"), Some("one"));
    let first = first.expect(200);
    for client in [&root, &other.root()] {
        let again = asking(client, "one").claim("greet").await.expect(200);
        assert_eq!((&again["id"], &again["claim_token"]), (&first["id"], &first["claim_token"]));
        assert_eq!((&again["payload"], &again["claim_attempts"]), (&first["payload"], &first["claim_attempts"]));
    }
    let second = asking(&root, "two").claimed("greet").await;
    assert_ne!(second.id, first["id"], "another request gets another intent");
    let nothing = asking(&root, "three").claim("greet").await;
    nothing.empty();
    assert_eq!(nothing.header("x-claim-request-id"), Some("three"));
    let claim = asking(&root, "one").claimed("greet").await;
    root.fulfill(&claim, json!(1)).await.expect(200);
}

#[tokio::test]
async fn what_differs_in_tenant_goal_namespace_worker_or_capability_is_another_request() {
    let app = TestApp::spawn().await;
    let (root, tenant) = (app.root(), app.tenant("other").await);
    let public = |goal: &str, namespace: &str| json!({"goal": goal, "payload": {}, "namespace": namespace, "visibility": "public"});
    for _ in 0..5 {
        root.published_many(&[public("greet", "default"), public("greet", "b"), public("bye", "default")]).await;
    }
    let (mut ids, mut tokens) = (HashSet::new(), HashSet::new());
    for (client, query) in [
        (&root, "goal=greet"),
        (&tenant, "goal=greet"),
        (&root, "goal=bye"),
        (&root, "goal=greet&namespace=b"),
        (&root, "goal=greet&worker_id=pi"),
        (&root, "goal=greet&capabilities=gpu"),
    ] {
        let claim = asking(client, "one").post(&format!("/claim?{query}"), "").await.claim();
        assert!(ids.insert(claim.id) && tokens.insert(claim.token));
    }
}

#[tokio::test]
async fn the_id_gives_the_next_intent_when_the_first_has_ended_or_its_lease_has() {
    let app = TestApp::spawn().await;
    let root = asking(&app.root(), "one");
    root.published(intent("greet")).await;
    let first = root.claimed("greet").await;
    app.db.end_lease_and_backoff(&first.id).await;
    let second = root.claimed("greet").await;
    assert_eq!((&second.id, &second.body["claim_attempts"]), (&first.id, &json!(2)));
    assert_ne!(second.token, first.token, "each claim has a token of its own");
    root.fulfill(&first, json!("of the first")).await.refused(404, "not_found");
    root.fulfill(&second, json!(1)).await.expect(200);
    root.claim("greet").await.empty();
    let next = root.published(intent("greet")).await;
    assert_eq!(root.claimed("greet").await.id, next);
}

#[tokio::test]
async fn what_is_left_of_the_lease_is_told() {
    let app = TestApp::spawn().await;
    let root = asking(&app.root(), "one");
    root.published(intent("greet")).await;
    let claim = root.claimed("greet").await;
    root.extend(&claim, 600).await.expect(200);
    let left = root.claimed("greet").await.body["claim_timeout"].as_i64().unwrap();
    // To what was left of the first 60 s.
    assert!((600..660).contains(&left), "{left}");
    app.db.execute("UPDATE intents SET lease_until = clock_timestamp() + interval '1.9 s'", &[]).await;
    assert_eq!(root.claimed("greet").await.body["claim_timeout"], 1);
}

#[tokio::test]
async fn an_id_that_is_used_again_after_its_lease_disturbs_nobody() {
    let app = TestApp::spawn().await;
    let root = asking(&app.root(), "one");
    root.published_many(&vec![intent("greet"); 4]).await;
    let first = root.claimed("greet").await;
    app.db.end_lease(&first.id).await;
    // The first intent is backing off, and its row still knows the request.
    let second = root.claimed("greet").await;
    assert_ne!(second.id, first.id);
    root.fulfill(&second, json!(1)).await.expect(200);
    app.db.end_lease_and_backoff(&first.id).await;
    // A batch whose leases have ended, and whose intents come back in another order.
    let batch = root.claim_many("greet", 3).await;
    assert_eq!(batch.len(), 3);
    for (number, claim) in batch.iter().enumerate() {
        app.db.end_lease_and_backoff(&claim.id).await;
        let id = uuid::Uuid::try_parse(&claim.id).unwrap();
        let due_for = f64::from(u8::try_from(number).unwrap() + 1);
        let sql = "UPDATE intents SET visible_at = clock_timestamp() - make_interval(secs => $2) WHERE id = $1";
        app.db.execute(sql, &[&id, &due_for]).await;
    }
    let again = root.claim_many("greet", 3).await;
    assert_eq!(again.len(), 3);
    assert_ne!(again[0].id, batch[0].id, "or this is about nothing");
}

#[tokio::test]
async fn a_batch_comes_again_as_far_as_it_is_still_held() {
    let app = TestApp::spawn().await;
    let root = asking(&app.root(), "one");
    root.published_many(&vec![intent("greet"); 5]).await;
    let first = root.claim_many("greet", 3).await;
    let again = root.claim_many("greet", 3).await;
    let pairs = |claims: &[Claim]| -> Vec<(String, String)> {
        claims.iter().map(|claim| (claim.id.clone(), claim.token.clone())).collect()
    };
    assert_eq!((first.len(), pairs(&first)), (3, pairs(&again)));
    root.fulfill(&first[1], json!(1)).await.expect(200);
    let again = root.claim_many("greet", 3).await;
    assert_eq!(pairs(&again), [pairs(&first)[0].clone(), pairs(&first)[2].clone()]);
}

#[tokio::test]
async fn however_many_tries_run_at_once_one_intent_is_claimed_and_each_gets_it() {
    let app = TestApp::spawn().await;
    let other = app.replica(&[]).await;
    let (one, two) = (app.root(), other.root());
    for round in 0..8 {
        one.published_many(&vec![intent("greet"); 20]).await;
        let id = format!("round-{round}");
        let tries = (0..40).map(|number| {
            let client = asking(if number % 2 == 0 { &one } else { &two }, &id);
            async move { client.claimed("greet").await }
        });
        let claims = join_all(tries).await;
        let held: HashSet<(&str, &str)> =
            claims.iter().map(|claim| (claim.id.as_str(), claim.token.as_str())).collect();
        assert_eq!(held.len(), 1, "{held:?}");
        let claimed: i64 =
            app.db.value("SELECT count(*) FROM intents WHERE state = 'claimed' AND claim_attempts = 1", &[]).await;
        assert_eq!(claimed, round + 1);
    }
}

#[tokio::test]
async fn of_two_tries_that_wait_one_gets_what_comes_and_the_other_when_it_asks_again() {
    let app = TestApp::spawn().await;
    let other = app.replica(&[]).await;
    let tenant = app.tenant("waiting").await;
    let (one, two) = (asking(&tenant, "one"), asking(&other.client(tenant.api_key()), "one"));
    let waiting = join(one.claim_waiting("greet", 2), two.claim_waiting("greet", 2));
    let publishing = async {
        // Both have looked, found nothing, and wait.
        app.db.have_asked(2).await;
        tenant.published(intent("greet")).await
    };
    let ((first, second), id) = join(waiting, publishing).await;
    let (first, second) = (if first.status == 200 { first } else { second }.claim(), two.claimed("greet").await);
    assert_eq!((&first.id, &first.token, &first.id), (&second.id, &second.token, &id));
}

#[tokio::test]
async fn a_request_that_comes_again_is_admitted_like_any_other() {
    let app = TestApp::spawn().await;
    let tenant = app.tenant("signing").await;
    tenant.published(intent("greet")).await;
    let once = asking(&tenant, "one").signed_once("POST", "/claim?goal=greet", "", unix_now());
    once.claim("greet").await.expect(200);
    once.claim("greet").await.refused(403, "invalid_signature");
    let limited = app.limited_tenant("limited").await;
    limited.published(intent("greet")).await;
    let limited = asking(&limited, "one");
    limited.claim("greet").await.expect(200);
    while limited.claim("greet").await.status == 200 {}
    limited.claim("greet").await.refused(429, "rate_limited");
}

#[tokio::test]
async fn a_pause_does_not_take_away_what_was_claimed_before_it() {
    let app = TestApp::spawn().await;
    let root = asking(&app.root(), "one");
    root.published_many(&[intent("greet"), intent("greet")]).await;
    let first = root.claimed("greet").await;
    app.admin().post("/admin/pause", json!({"namespace": "default", "goal": "greet"})).await.expect(200);
    assert_eq!(root.claimed("greet").await.id, first.id);
    asking(&app.root(), "two").claim("greet").await.empty();
}

#[tokio::test]
async fn an_id_that_could_break_a_line_is_refused() {
    let app = TestApp::spawn().await;
    for id in ["", "a b", "é", &"a".repeat(129)] {
        asking(&app.root(), id).claim("greet").await.refused(400, "invalid_request");
    }
    asking(&app.root(), &"a".repeat(128)).claim("greet").await.empty();
}

#[tokio::test]
async fn what_is_reported_of_a_lost_claim_changes_nothing_and_is_kept_for_operators() {
    let app = TestApp::spawn().await;
    let root = app.root();
    for (batch, goal) in [(false, "one"), (true, "many")] {
        let id = root.published(intent(goal)).await;
        let lost = root.claimed(goal).await;
        app.db.end_lease_and_backoff(&id).await;
        let held = root.claimed(goal).await;
        for _ in 0..2 {
            if batch {
                let answer =
                    root.fulfill_many(std::slice::from_ref(&lost), json!({"by": "the late one"})).await.outcomes();
                assert_eq!(answer[0]["error"]["code"], "not_found");
            } else {
                root.fulfill(&lost, json!({"by": "the late one"})).await.refused(404, "not_found");
            }
        }
        root.fulfill(&held, json!({"by": "the other"})).await.expect(200);
        // After the end it is not found any more either, and kept the same.
        root.fulfill(&lost, json!("again")).await.refused(404, "not_found");
        let seen = app.admin().get(&format!("/admin/intents/{id}")).await.expect(200);
        assert_eq!(seen["result"]["text"], r#"{"by":"the other"}"#);
        assert_eq!(too_late(&seen).len(), 1, "{seen}");
        let late = &too_late(&seen)[0];
        assert_eq!((&late["attempt"], &late["result"]["text"]), (&json!(1), &json!(r#"{"by":"the late one"}"#)));
    }
}

fn too_late(seen: &Value) -> Vec<Value> {
    let events = seen["timeline"].as_array().expect("a timeline");
    events.iter().filter(|event| event["event"] == "too_late").cloned().collect()
}

#[tokio::test]
async fn a_failure_that_comes_too_late_is_kept_too_also_when_the_intent_was_buried() {
    let app = TestApp::spawn().await;
    let root = app.root().declaring("7.61");
    let id = root.published(intent_with("greet", json!({"max_attempts": 1}))).await;
    let lost = root.claimed("greet").await;
    app.db.end_lease(&id).await;
    app.admin().cleanup().await.expect(200);
    root.fail(&lost, "out of paper").await.refused(404, "not_found");
    let seen = app.admin().get(&format!("/admin/intents/{id}")).await.expect(200);
    assert_eq!(seen["status"], "dead");
    assert_eq!(too_late(&seen)[0]["error"], "out of paper");
    // Brought back by an operator, it is known by its earlier attempts.
    app.admin().post(&format!("/admin/intents/{id}/retry"), "").await.expect(200);
    root.fail(&lost, "once more").await.refused(404, "not_found");
    let seen = app.admin().get(&format!("/admin/intents/{id}")).await.expect(200);
    assert_eq!(too_late(&seen).len(), 1, "{seen}");
}

#[tokio::test]
async fn nothing_is_kept_of_tokens_that_were_made_up_or_are_somebody_elses() {
    let app = TestApp::spawn().await;
    let root = app.root();
    let id = root.published(intent("greet")).await;
    let lost = root.claimed("greet").await;
    app.db.end_lease_and_backoff(&id).await;
    root.claimed("greet").await;
    let made_up = Claim { token: "0".repeat(32), ..lost.clone() };
    root.fulfill(&made_up, json!(1)).await.refused(404, "not_found");
    app.tenant("stranger").await.fulfill(&lost, json!(1)).await.refused(404, "not_found");
    root.post(&format!("/fulfill/{id}"), json!({"claim_token": "0", "result": 1})).await.refused(404, "not_found");
    assert_eq!(app.db.count("late_results").await, 0);
}

#[tokio::test]
async fn what_came_too_late_is_forgotten_with_the_finished_intents() {
    let app = TestApp::spawn().await;
    let root = app.root();
    let id = root.published(intent("greet")).await;
    let lost = root.claimed("greet").await;
    app.db.end_lease_and_backoff(&id).await;
    root.claimed("greet").await;
    root.fulfill(&lost, json!(1)).await.refused(404, "not_found");
    app.admin().cleanup().await.expect(200);
    assert_eq!(app.db.count("late_results").await, 1);
    app.db.execute("UPDATE late_results SET received_at = received_at - interval '8 days'", &[]).await;
    app.admin().cleanup().await.expect(200);
    assert_eq!(app.db.count("late_results").await, 0);
}

#[tokio::test]
async fn a_purge_leaves_nothing_of_what_came_too_late() {
    let app = TestApp::spawn().await;
    let root = app.root();
    for ended in [false, true] {
        let id = root.published(intent("greet")).await;
        let lost = root.claimed("greet").await;
        app.db.end_lease_and_backoff(&id).await;
        let held = root.claimed("greet").await;
        root.fulfill(&lost, json!(1)).await.refused(404, "not_found");
        if ended {
            root.fulfill(&held, json!(2)).await.expect(200);
        }
    }
    assert_eq!(app.db.count("late_results").await, 2);
    app.admin().post("/admin/purge", json!({"confirm": true})).await.expect(200);
    assert_eq!(app.db.count("late_results").await, 0);
}

#[tokio::test]
async fn what_counted_is_not_kept_as_too_late_when_it_comes_again() {
    let app = TestApp::spawn().await;
    let root = app.root().declaring("7.61");
    let id = root.published(intent_with("greet", json!({"max_attempts": 1}))).await;
    let claim = root.claimed("greet").await;
    app.db.end_lease(&id).await;
    root.fail(&claim, "out of paper").await.expect(200);
    root.fail(&claim, "out of paper").await.refused(404, "not_found");
    assert_eq!(app.db.count("late_results").await, 0);
}
