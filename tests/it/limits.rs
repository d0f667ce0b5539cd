//! How much a tenant may ask: requests in a minute, unfinished intents. Root may ask anything.

use serde_json::json;

use crate::support::{
    Client, TestApp,
    factory::{intent, intent_with},
};

async fn use_up(client: &Client, requests: usize) {
    for _ in 0..requests {
        client.claim("nothing").await.empty();
    }
}

#[tokio::test]
async fn the_sixty_first_request_in_a_minute_is_refused_and_told_when_to_come_back() {
    let app = TestApp::spawn().await;
    let alice = app.limited_tenant("alice").await;
    use_up(&alice, 60).await;
    for answer in [alice.claim("nothing").await, alice.publish(intent("greet")).await, alice.value("k").await] {
        answer.refused(429, "rate_limited");
        let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=61).contains(&seconds), "{seconds}");
    }
    assert_eq!(app.db.count("intents").await, 0);
    app.tenant("bob").await.claim("nothing").await.empty();
}

#[tokio::test]
async fn a_refused_request_does_not_push_the_next_one_back() {
    let app = TestApp::spawn().await;
    let alice = app.limited_tenant("alice").await;
    use_up(&alice, 60).await;
    for _ in 0..5 {
        alice.claim("nothing").await.refused(429, "rate_limited");
    }
    assert_eq!(app.db.value::<i64>("SELECT sum(hit) FROM rate_windows, unnest(hits) AS hit", &[]).await, 60);
    // As if a minute had gone by.
    app.db.batch("UPDATE rate_windows SET seconds = ARRAY(SELECT second - 61 FROM unnest(seconds) AS second)").await;
    use_up(&alice, 60).await;
    alice.claim("nothing").await.refused(429, "rate_limited");
}

#[tokio::test]
async fn the_window_slides_second_by_second() {
    let app = TestApp::spawn().await;
    let alice = app.limited_tenant("alice").await;
    use_up(&alice, 60).await;
    // Thirty of them were a full window ago, thirty only half a minute.
    app.db
        .batch(
            "UPDATE rate_windows SET hits = ARRAY[30, 30], seconds =
                 ARRAY[floor(extract(epoch FROM clock_timestamp()))::bigint - 61, floor(extract(epoch FROM clock_timestamp()))::bigint - 30]",
        )
        .await;
    use_up(&alice, 30).await;
    let refused = alice.claim("nothing").await;
    refused.refused(429, "rate_limited");
    let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((26..=31).contains(&seconds), "{seconds}");
}

#[tokio::test]
async fn the_rate_is_one_over_all_replicas_and_holds_at_the_same_moment() {
    let app = TestApp::with(&[("BUS_DATABASE_POOL_SIZE", "20"), ("BUS_RATE_LIMIT_PER_MINUTE", "10")]).await;
    let other_replica = app.replica(&[("BUS_DATABASE_POOL_SIZE", "20"), ("BUS_RATE_LIMIT_PER_MINUTE", "10")]).await;
    let here = app.limited_tenant("alice").await;
    let there = other_replica.client(here.api_key());
    let sent = (0..30).map(|number| if number % 2 == 0 { &here } else { &there }.claim("nothing"));
    let answers = futures_util::future::join_all(sent).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 204).count(), 10);
    assert_eq!(answers.iter().filter(|answer| answer.status == 429).count(), 20);
}

#[tokio::test]
async fn a_tenant_may_have_limits_of_its_own() {
    let app = TestApp::spawn().await;
    let alice = app.limited_tenant("alice").await;
    app.db.batch("UPDATE tenants SET rate_limit_per_minute = 3, max_open_intents = 1 WHERE owner = 'alice'").await;
    alice.published(intent("greet")).await;
    alice.publish(intent("greet")).await.refused(429, "limit_exceeded");
    use_up(&alice, 1).await;
    app.db.forget_rates().await;
    use_up(&alice, 3).await;
    alice.claim("nothing").await.refused(429, "rate_limited");
}

#[tokio::test]
async fn root_has_no_limits() {
    let app = TestApp::with(&[("BUS_RATE_LIMIT_PER_MINUTE", "1"), ("BUS_MAX_OPEN_INTENTS", "1")]).await;
    for _ in 0..70 {
        app.root().published(intent("greet")).await;
    }
}

/// A tenant that may have two unfinished intents, and has them.
async fn a_tenant_at_its_cap(app: &TestApp) -> (Client, [String; 2]) {
    let alice = app.tenant("alice").await;
    let ids = [alice.published(intent("greet")).await, alice.published(intent("greet")).await];
    let refused = alice.publish(intent("greet")).await;
    refused.refused(429, "limit_exceeded");
    assert!(
        refused.header("retry-after").is_some_and(|seconds| seconds.parse::<u64>().is_ok_and(|seconds| seconds > 0))
    );
    (alice, ids)
}

/// One place is free, and no more than one.
async fn one_place_is_free(alice: &Client) {
    alice.published(intent("greet")).await;
    alice.publish(intent("greet")).await.refused(429, "limit_exceeded");
}

const TWO: &[(&str, &str)] = &[("BUS_MAX_OPEN_INTENTS", "2")];

#[tokio::test]
async fn a_fulfilled_intent_frees_a_place() {
    let app = TestApp::with(TWO).await;
    let (alice, _) = a_tenant_at_its_cap(&app).await;
    let claim = alice.claimed("greet").await;
    alice.publish(intent("greet")).await.refused(429, "limit_exceeded");
    alice.fulfill(&claim, json!(1)).await.expect(200);
    one_place_is_free(&alice).await;
}

#[tokio::test]
async fn an_intent_fulfilled_by_another_tenant_frees_its_publishers_place() {
    let app = TestApp::with(TWO).await;
    let (alice, bob) = (app.tenant("alice").await, app.tenant("bob").await);
    for _ in 0..2 {
        alice.published(intent_with("greet", json!({"visibility": "public"}))).await;
    }
    bob.fulfill(&bob.claimed("greet").await, json!(1)).await.expect(200);
    one_place_is_free(&alice).await;
    bob.published(intent("greet")).await;
    one_place_is_free(&bob).await;
}

#[tokio::test]
async fn a_failed_attempt_frees_a_place_only_if_it_was_the_last() {
    let app = TestApp::with(TWO).await;
    let (alice, _) = a_tenant_at_its_cap(&app).await;
    alice.declaring("7.61").fail(&alice.claimed("greet").await, "no").await.expect(200);
    alice.publish(intent("greet")).await.refused(429, "limit_exceeded");
    alice.fail(&alice.claimed("greet").await, "no").await.expect(200);
    one_place_is_free(&alice).await;
}

#[tokio::test]
async fn a_cancelled_intent_frees_a_place_once() {
    let app = TestApp::with(TWO).await;
    let (alice, ids) = a_tenant_at_its_cap(&app).await;
    for _ in 0..2 {
        app.admin().cancel(&ids[0]).await.expect(200);
    }
    one_place_is_free(&alice).await;
}

#[tokio::test]
async fn an_expired_intent_frees_a_place() {
    let app = TestApp::with(TWO).await;
    let (alice, ids) = a_tenant_at_its_cap(&app).await;
    app.db.age(&ids[0], 86_401.0).await;
    app.admin().cleanup().await.expect(200);
    one_place_is_free(&alice).await;
}

#[tokio::test]
async fn an_intent_whose_last_lease_ended_frees_a_place() {
    let app = TestApp::with(TWO).await;
    let alice = app.tenant("alice").await;
    for _ in 0..2 {
        alice.published(intent_with("greet", json!({"max_attempts": 1}))).await;
    }
    let claim = alice.claimed("greet").await;
    app.db.end_lease(&claim.id).await;
    app.admin().cleanup().await.expect(200);
    one_place_is_free(&alice).await;
}

#[tokio::test]
async fn a_purge_frees_every_place() {
    let app = TestApp::with(TWO).await;
    let (alice, _) = a_tenant_at_its_cap(&app).await;
    app.admin().post("/admin/purge", json!({"confirm": true})).await.expect(200);
    assert_eq!(app.db.value::<i64>("SELECT open_intents FROM quotas", &[]).await, 0);
    alice.published(intent("greet")).await;
    one_place_is_free(&alice).await;
}

#[tokio::test]
async fn a_retried_intent_takes_a_place_again_even_beyond_the_cap() {
    let app = TestApp::with(TWO).await;
    let (alice, ids) = a_tenant_at_its_cap(&app).await;
    app.admin().cancel(&ids[0]).await.expect(200);
    alice.published(intent("greet")).await;
    app.admin().retry(&ids[0]).await.expect(200);
    assert_eq!(app.db.value::<i64>("SELECT open_intents FROM quotas", &[]).await, 3);
    alice.fulfill(&alice.claimed("greet").await, json!(1)).await.expect(200);
    alice.publish(intent("greet")).await.refused(429, "limit_exceeded");
}

#[tokio::test]
async fn the_cap_holds_at_the_same_moment() {
    let app = TestApp::with(&[("BUS_DATABASE_POOL_SIZE", "20"), ("BUS_MAX_OPEN_INTENTS", "5")]).await;
    let alice = app.tenant("alice").await;
    let answers = futures_util::future::join_all((0..20).map(|_| alice.publish(intent("greet")))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 5);
    assert_eq!(app.db.count("intents").await, 5);
    assert_eq!(app.db.count("payloads").await, 5);
}

#[tokio::test]
async fn a_key_may_have_limits_of_its_own() {
    let app = TestApp::with(&[("BUS_RATE_LIMIT_PER_MINUTE", "100"), ("BUS_MAX_OPEN_INTENTS", "100")]).await;
    let made = app.admin().post("/admin/generate_key", json!({"owner": "a", "max_open_intents": 1})).await;
    let few = app.client(made.expect(201)["api_key"].as_str().unwrap());
    few.published(intent("greet")).await;
    few.publish(intent("greet")).await.refused(429, "limit_exceeded");
    let made = app.admin().post("/admin/generate_key", json!({"owner": "b", "rate_limit_per_minute": 2})).await;
    let slow = app.client(made.expect(201)["api_key"].as_str().unwrap());
    for _ in 0..2 {
        slow.claim("greet").await.empty();
    }
    slow.claim("greet").await.refused(429, "rate_limited");
    for wrong in [json!(0), json!(-1), json!("3"), json!(1.5)] {
        let body = json!({"owner": "c", "rate_limit_per_minute": wrong});
        app.admin().post("/admin/generate_key", body).await.refused(400, "invalid_request");
    }
}
