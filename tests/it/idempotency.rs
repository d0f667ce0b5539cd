//! Idempotency keys: the same request has one effect and one answer, however often and whenever it is sent.

use std::collections::BTreeSet;

use serde_json::json;

use crate::support::{TestApp, factory::intent};

#[tokio::test]
async fn the_same_request_at_the_same_moment_makes_one_intent() {
    let app = TestApp::with(&[("BUS_DATABASE_POOL_SIZE", "25")]).await;
    let other_replica = app.replica(&[("BUS_DATABASE_POOL_SIZE", "25")]).await;
    let alice = app.tenant("alice").await;
    for round in 0..5 {
        let key = format!("round-{round}");
        let here = alice.with("idempotency-key", &key);
        let there = other_replica.client(alice.api_key()).with("idempotency-key", &key);
        let sent = (0..20).map(|number| if number % 2 == 0 { &here } else { &there }.publish(intent("greet")));
        let answers = futures_util::future::join_all(sent).await;
        let ids: BTreeSet<String> = answers.iter().map(|answer| answer.expect(201)["id"].to_string()).collect();
        assert_eq!(ids.len(), 1);
        assert_eq!(app.db.count("intents").await, round + 1);
        assert_eq!(app.db.value::<i64>("SELECT open_intents FROM quotas", &[]).await, round + 1);
    }
    assert_eq!(app.db.count("payloads").await, 5);
}

#[tokio::test]
async fn of_different_requests_at_the_same_moment_one_wins() {
    let app = TestApp::with(&[("BUS_DATABASE_POOL_SIZE", "20")]).await;
    let root = app.root().with("idempotency-key", "k");
    let root = &root;
    let sent = (0..12).map(|number| root.publish(intent(if number % 2 == 0 { "even" } else { "odd" })));
    let answers = futures_util::future::join_all(sent).await;
    let stored = answers.iter().filter(|answer| answer.status == 201).count();
    let refused = answers.iter().filter(|answer| answer.status == 409).count();
    assert_eq!((stored, refused), (6, 6));
    assert_eq!(app.db.count("intents").await, 1);
}

#[tokio::test]
async fn neither_spacing_nor_the_order_of_keys_makes_another_request() {
    let app = TestApp::spawn().await;
    let root = app.root().with("idempotency-key", "k");
    let same = [
        r#"{"goal": "greet", "payload": {"a": 1, "b": [1, {"c": "é", "d": null}]}}"#,
        r#"{"payload":{"b":[1,{"d":null,"c":"é"}],"a":1},"goal":"greet"}"#,
        "\n{\t\"payload\" : {\"a\": 1, \"b\": [1, {\"c\": \"\\u00e9\", \"d\": null}]}, \"goal\": \"gr\\u0065et\"} ",
    ];
    let mut ids = BTreeSet::new();
    for body in same {
        ids.insert(root.published(body).await);
    }
    assert_eq!(ids.len(), 1);
    let others = [
        r#"{"goal": "greet", "payload": {"a": 1, "b": [{"c": "é", "d": null}, 1]}}"#,
        r#"{"goal": "greet", "payload": {"a": "1", "b": [1, {"c": "é", "d": null}]}}"#,
        r#"{"goal": "greet", "payload": {"a": 1, "b": [1, {"c": "é "}]}}"#,
        r#"{"goal": "greet", "payload": {"a": 1, "b": [1, {"c": "é", "d": null}]}, "priority": 100}"#,
    ];
    for body in others {
        root.publish(body).await.refused(409, "conflict");
    }
    assert_eq!(app.db.count("intents").await, 1);
}

#[tokio::test]
async fn the_first_answer_comes_again_whatever_has_become_of_the_intent() {
    let app = TestApp::spawn().await;
    let root = app.root();
    let keyed = root.with("idempotency-key", "k");
    let first = keyed.publish(intent("greet")).await;
    root.claimed("greet").await;
    assert_eq!(keyed.publish(intent("greet")).await.body, first.body);
    let id = first.expect(201)["id"].as_str().unwrap().to_owned();
    app.admin().cancel(&id).await.expect(200);
    assert_eq!(keyed.publish(intent("greet")).await.body, first.body);
    assert_eq!(app.db.count("intents").await, 0);
    assert_eq!(keyed.declaring("7.61").publish(intent("greet")).await.expect(201), first.expect(201));
}

#[tokio::test]
async fn a_key_belongs_to_one_tenant() {
    let app = TestApp::spawn().await;
    let (alice, bob) = (app.tenant("alice").await, app.tenant("bob").await);
    let first = alice.with("idempotency-key", "k").published(intent("greet")).await;
    let second = bob.with("idempotency-key", "k").published(intent("other")).await;
    assert_ne!(first, second);
}

#[tokio::test]
async fn without_a_key_every_request_counts() {
    let app = TestApp::spawn().await;
    let first = app.root().published(intent("greet")).await;
    assert_ne!(app.root().published(intent("greet")).await, first);
}

#[tokio::test]
async fn a_value_is_set_once_by_each_key() {
    let app = TestApp::spawn().await;
    let root = app.root();
    let keyed = root.with("idempotency-key", "k");
    keyed.set("name", json!("first")).await.expect(200);
    root.set("name", json!("second")).await.expect(200);
    keyed.set("name", json!("first")).await.expect(200);
    assert_eq!(root.value("name").await.expect(200)["value"], "second", "a repeat has no effect");
    keyed.set("name", json!("third")).await.refused(409, "conflict");
    keyed.declaring("7.61").set("name", json!("third")).await.refused(422, "idempotency_conflict");
}

#[tokio::test]
async fn each_path_has_keys_of_its_own() {
    let app = TestApp::spawn().await;
    let keyed = app.root().with("idempotency-key", "k");
    keyed.published(intent("greet")).await;
    keyed.set("a", json!(1)).await.expect(200);
    keyed.set("b", json!(2)).await.expect(200);
    keyed.set("b", json!(1)).await.refused(409, "conflict");
    keyed.publish(intent("other")).await.refused(409, "conflict");
}

#[tokio::test]
async fn what_was_refused_leaves_its_key_unused() {
    let app = TestApp::with(&[("BUS_MAX_OPEN_INTENTS", "1")]).await;
    let alice = app.tenant("alice").await;
    let first = alice.published(intent("greet")).await;
    let keyed = alice.with("idempotency-key", "k");
    keyed.publish(intent("more")).await.refused(429, "limit_exceeded");
    keyed.publish(intent("")).await.refused(400, "invalid_goal");
    app.admin().cancel(&first).await.expect(200);
    keyed.published(intent("something else")).await;
}

#[tokio::test]
async fn a_repeat_is_answered_at_the_cap_of_open_intents() {
    let app = TestApp::with(&[("BUS_MAX_OPEN_INTENTS", "1")]).await;
    let alice = app.tenant("alice").await.with("idempotency-key", "k");
    let first = alice.published(intent("greet")).await;
    assert_eq!(alice.published(intent("greet")).await, first);
}

#[tokio::test]
async fn a_key_has_1_to_255_bytes() {
    let app = TestApp::spawn().await;
    let root = app.root();
    for key in [String::new(), "k".repeat(256)] {
        root.with("idempotency-key", key).publish(intent("greet")).await.refused(400, "invalid_request");
    }
    for key in ["k".repeat(255).into_bytes(), b"with space".to_vec(), b"latin \xe9".to_vec()] {
        let keyed = root.with("idempotency-key", key);
        assert_eq!(keyed.published(intent("greet")).await, keyed.published(intent("greet")).await);
    }
}

#[tokio::test]
async fn a_key_is_remembered_for_a_day_and_not_for_three() {
    let app = TestApp::spawn().await;
    let root = app.root().with("idempotency-key", "k");
    let first = root.published(intent("greet")).await;
    app.db.age_ring("idempotency_keys", 86_400).await;
    assert_eq!(app.db.count("idempotency_keys").await, 1);
    assert_eq!(root.published(intent("greet")).await, first);
    root.publish(intent("other")).await.refused(409, "conflict");
    app.db.age_ring("idempotency_keys", 86_400).await;
    assert_ne!(root.published(intent("greet")).await, first);
}
