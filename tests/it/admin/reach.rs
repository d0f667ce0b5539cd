//! Keys that are narrower than their tenant, end by themselves, are rotated, limited and revoked by number.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Client, TestApp, factory::intent};

/// A key made with these fields.
async fn made(app: &TestApp, body: Value) -> (Client, Value) {
    let made = app.admin().post("/admin/generate_key", body).await.expect(201);
    (app.client(made["api_key"].as_str().unwrap()), made)
}

/// A claim with this key is refused within two seconds from now: a second, and what a busy machine adds.
async fn is_soon_refused(client: &Client, status: u16) {
    let began = Instant::now();
    while client.claim("greet").await.status != status {
        assert!(began.elapsed() < Duration::from_secs(2), "it still works");
        tokio::task::yield_now().await;
    }
}

async fn raise_limits(app: &TestApp) {
    app.db.batch("UPDATE tenants SET rate_limit_per_minute = 1000000, max_open_intents = 1000").await;
}

#[tokio::test]
async fn one_more_key_of_a_tenant_sees_what_the_first_has_published() {
    let app = TestApp::spawn().await;
    let (first, made_first) = made(&app, json!({"owner": "alice"})).await;
    let (second, made_second) = made(&app, json!({"tenant": made_first["tenant"]})).await;
    assert_eq!((&made_second["tenant"], &made_second["owner"]), (&made_first["tenant"], &json!("alice")));
    let id = first.published(intent("greet")).await;
    second.status(&id).await.expect(200);
    let admin = app.admin();
    admin.post("/admin/generate_key", json!({"tenant": 99})).await.refused(404, "not_found");
    for body in [
        json!({"tenant": 0}),
        json!({"tenant": 1, "owner": "bob"}),
        json!({"tenant": 1, "max_open_intents": 5}),
        json!({"owner": "bob", "scopes": []}),
        json!({"owner": "bob", "scopes": ["everything"]}),
        json!({"owner": "bob", "scopes": "read"}),
        json!({"owner": "bob", "namespaces": []}),
        json!({"owner": "bob", "namespaces": vec!["a"; 101]}),
        json!({"owner": "bob", "expires_in": 0}),
    ] {
        admin.post("/admin/generate_key", body).await.refused(400, "invalid_request");
    }
    admin
        .post("/admin/generate_key", json!({"owner": "bob", "namespaces": ["a/b"]}))
        .await
        .refused(400, "invalid_namespace");
    assert_eq!(app.db.count("api_keys").await, 2);
}

#[tokio::test]
async fn a_key_ends_when_the_databases_clock_says_so_also_where_it_is_cached() {
    let app = TestApp::spawn().await;
    let began = Instant::now();
    let (client, _) = made(&app, json!({"owner": "alice", "expires_in": 1})).await;
    raise_limits(&app).await;
    // Caches forget what has changed of late; this one shall have to know by itself.
    app.db.batch("UPDATE api_keys SET changed_at = clock_timestamp() - interval '1 hour'").await;
    client.claim("greet").await.empty();
    is_soon_refused(&client, 401).await;
    assert!(began.elapsed() >= Duration::from_secs(1), "it ended early");
    let key = app.admin().get("/admin/keys").await.expect(200)["keys"][0].clone();
    assert_eq!((&key["valid"], &key["revoked_at"]), (&json!(false), &Value::Null));
}

#[tokio::test]
async fn a_rotated_key_goes_on_for_the_overlap_and_the_new_one_reaches_what_it_did() {
    let app = TestApp::spawn().await;
    let other = app.replica(&[]).await;
    let (old, made_old) =
        made(&app, json!({"owner": "alice", "scopes": ["work", "publish"], "namespaces": ["default"]})).await;
    raise_limits(&app).await;
    let number = &made_old["id"];
    let rotated = app.admin().post(&format!("/admin/keys/{number}/rotate"), json!({"overlap_seconds": 3600})).await;
    let rotated = rotated.expect(201);
    assert_eq!((&rotated["tenant"], &rotated["expires_at"]), (&made_old["tenant"], &Value::Null));
    let new_key = rotated["api_key"].as_str().unwrap();
    for replica in [&app, &other] {
        replica.client(old.api_key()).claim("greet").await.empty();
        replica.client(new_key).claim("greet").await.empty();
        replica.client(new_key).get("/get/x").await.refused(403, "forbidden");
        replica.client(new_key).post("/claim?namespace=east", "").await.refused(403, "forbidden");
    }
    let keys = app.admin().get("/admin/keys").await.expect(200)["keys"].clone();
    let left = "SELECT (expires_at - clock_timestamp()) BETWEEN interval '3590 s' AND interval '3600 s' FROM api_keys WHERE expires_at IS NOT NULL";
    assert!(app.db.value::<bool>(left, &[]).await);
    assert_eq!((&keys[0]["expires_at"], &keys[1]["id"]), (&Value::Null, number));
    // An hour later, by the database's clock.
    app.db.batch("UPDATE api_keys SET expires_at = expires_at - interval '1 hour', changed_at = clock_timestamp() WHERE expires_at IS NOT NULL").await;
    for replica in [&app, &other] {
        is_soon_refused(&replica.client(old.api_key()), 401).await;
        replica.client(new_key).claim("greet").await.empty();
    }
    let again = app.admin().post(&format!("/admin/keys/{number}/rotate"), "").await;
    again.refused(409, "conflict");
}

#[tokio::test]
async fn a_rotation_without_overlap_ends_the_old_key_within_a_second_and_never_makes_it_last_longer() {
    let app = TestApp::spawn().await;
    let (old, made_old) = made(&app, json!({"owner": "alice", "expires_in": 60})).await;
    raise_limits(&app).await;
    old.claim("greet").await.empty();
    let target = format!("/admin/keys/{}/rotate", made_old["id"]);
    app.admin().post(&target, json!({"overlap_seconds": 3600})).await.expect(201);
    let left = "SELECT expires_at < clock_timestamp() + interval '61 s' FROM api_keys WHERE id = $1";
    assert!(app.db.value::<bool>(left, &[&made_old["id"].as_i64()]).await);
    app.admin().post(&target, json!({"overlap_seconds": 0})).await.expect(201);
    is_soon_refused(&old, 401).await;
    for (target, status, code) in
        [("/admin/keys/99/rotate", 404, "not_found"), ("/admin/keys/x/rotate", 404, "not_found")]
    {
        app.admin().post(target, "{}").await.refused(status, code);
    }
    for overlap in [json!(-1), json!(2_592_001), json!("x")] {
        app.admin().post(&target, json!({"overlap_seconds": overlap})).await.refused(400, "invalid_request");
    }
}

#[tokio::test]
async fn the_new_key_of_one_that_was_to_end_lives_as_long_as_that_was_made_for() {
    let app = TestApp::spawn().await;
    let (_, made_old) = made(&app, json!({"owner": "alice", "expires_in": 86_400})).await;
    // Most of its life is over.
    app.db
        .batch(
            "UPDATE api_keys SET created_at = created_at - interval '23 h', expires_at = expires_at - interval '23 h'",
        )
        .await;
    let rotated = app.admin().post(&format!("/admin/keys/{}/rotate", made_old["id"]), "").await.expect(201);
    let left =
        "SELECT extract(epoch FROM expires_at - clock_timestamp())::double precision FROM api_keys WHERE id = $1";
    let new = app.db.value::<f64>(left, &[&rotated["id"].as_i64()]).await;
    assert!((86_390.0..=86_401.0).contains(&new), "{new}");
    assert!(rotated["expires_at"].is_f64());
    let old = app.db.value::<f64>(left, &[&made_old["id"].as_i64()]).await;
    assert!((3590.0..=3600.0).contains(&old), "an hour is left of it, whatever the overlap: {old}");
}

#[tokio::test]
async fn a_key_is_narrowed_and_widened_on_every_replica_within_a_second() {
    let app = TestApp::spawn().await;
    let other = app.replica(&[]).await;
    let (client, key) = made(&app, json!({"owner": "alice"})).await;
    raise_limits(&app).await;
    for replica in [&app, &other] {
        replica.client(client.api_key()).claim("greet").await.empty();
    }
    let target = format!("/admin/keys/{}/scopes", key["id"]);
    let narrow =
        app.admin().post(&target, json!({"scopes": ["read", "read"], "namespaces": ["b", "a"]})).await.expect(200);
    assert_eq!((&narrow["scopes"], &narrow["namespaces"]), (&json!(["read"]), &json!(["a", "b"])));
    for replica in [&app, &other] {
        is_soon_refused(&replica.client(client.api_key()), 403).await;
    }
    let wide = app.admin().post(&target, json!({"scopes": null})).await.expect(200);
    assert_eq!((&wide["scopes"], &wide["namespaces"]), (&Value::Null, &json!(["a", "b"])));
    app.admin().post(&target, "{}").await.refused(400, "invalid_request");
    app.admin().post("/admin/keys/99/scopes", json!({"scopes": null})).await.refused(404, "not_found");
}

#[tokio::test]
async fn limits_of_a_tenant_change_and_go_back_to_the_settings() {
    let app = TestApp::spawn().await;
    let (client, key) = made(&app, json!({"owner": "alice", "max_open_intents": 7})).await;
    let target = format!("/admin/tenants/{}/limits", key["tenant"]);
    let limits = app.admin().post(&target, json!({"rate_limit_per_minute": 1})).await.expect(200);
    assert_eq!(
        limits,
        json!({"tenant": key["tenant"], "owner": "alice", "rate_limit_per_minute": 1, "max_open_intents": 7})
    );
    client.claim("greet").await.empty();
    client.claim("greet").await.refused(429, "rate_limited");
    let limits = app.admin().post(&target, json!({"rate_limit_per_minute": null, "max_open_intents": null})).await;
    assert_eq!(limits.expect(200)["rate_limit_per_minute"], Value::Null);
    let began = Instant::now();
    while client.claim("greet").await.status == 429 {
        assert!(began.elapsed() < Duration::from_secs(2), "the old limit still holds");
        tokio::task::yield_now().await;
    }
    for body in [json!({}), json!({"max_open_intents": 0}), json!({"max_open_intents": "x"})] {
        app.admin().post(&target, body).await.refused(400, "invalid_request");
    }
    for target in ["/admin/tenants/0/limits", "/admin/tenants/99/limits", "/admin/tenants/x/limits"] {
        app.admin().post(target, json!({"max_open_intents": 5})).await.refused(404, "not_found");
    }
}

#[tokio::test]
async fn a_key_is_revoked_by_its_number() {
    let app = TestApp::spawn().await;
    let (client, key) = made(&app, json!({"owner": "alice"})).await;
    client.claim("greet").await.empty();
    for _ in 0..2 {
        let done = app.admin().post(&format!("/admin/keys/{}/revoke", key["id"]), "").await;
        assert_eq!(done.expect(200), json!({"ok": true}));
        client.claim("greet").await.refused(401, "unauthorized");
    }
    app.admin().post("/admin/keys/99/revoke", "").await.refused(404, "not_found");
}

#[tokio::test]
async fn keys_are_listed_page_by_page_with_what_their_tenants_have_open_and_never_shown() {
    let app = TestApp::spawn().await;
    let mut secrets = Vec::new();
    for number in 0..5 {
        let (client, key) = made(&app, json!({"owner": format!("owner-{number}")})).await;
        for _ in 0..number {
            client.published(intent("greet")).await;
        }
        secrets.push(key["api_key"].as_str().unwrap().to_owned());
    }
    let (mut seen, mut before) = (Vec::new(), String::new());
    loop {
        let answer = app.admin().get(&format!("/admin/keys?limit=2&before={before}")).await;
        assert!(secrets.iter().all(|secret| !answer.text().contains(&secret[3..])), "a key is shown");
        let page = answer.expect(200);
        let keys = page["keys"].as_array().unwrap();
        seen.extend(
            keys.iter().map(|key| (key["owner"].as_str().unwrap().to_owned(), key["open_intents"].as_i64().unwrap())),
        );
        let Some(next) = page["next"].as_str() else { break };
        next.clone_into(&mut before);
    }
    let expected: Vec<(String, i64)> = (0..5).rev().map(|number| (format!("owner-{number}"), number)).collect();
    assert_eq!(seen, expected);
}
