//! Clients, by their API key.

use std::time::{Duration, Instant};

use crate::support::{TestApp, factory::intent};

#[tokio::test]
async fn without_a_key_that_is_known_nothing_is_answered() {
    let app = TestApp::spawn().await;
    let root = app.root().api_key().to_owned();
    app.nobody().publish(intent("greet")).await.refused(401, "unauthorized");
    for key in [
        "",
        "x",
        "tk_0123456789abcdef",
        &root[1..],
        &format!("{root}x"),
        &root.to_uppercase(),
        &format!("{root},{root}"),
    ] {
        app.client(key).publish(intent("greet")).await.refused(401, "unauthorized");
    }
    app.nobody().with("x-api-key", b"\xff\xfe").publish(intent("greet")).await.refused(401, "unauthorized");
    app.nobody()
        .with("authorization", format!("Bearer {root}"))
        .publish(intent("greet"))
        .await
        .refused(401, "unauthorized");
    app.nobody().post(&format!("/intent?api_key={root}"), intent("greet")).await.refused(401, "unauthorized");
    assert_eq!(app.db.count("intents").await, 0);
}

#[tokio::test]
async fn an_operators_secret_is_no_key() {
    let app = TestApp::spawn().await;
    app.admin().publish(intent("greet")).await.refused(401, "unauthorized");
    app.client(crate::support::app::ADMIN).publish(intent("greet")).await.refused(401, "unauthorized");
}

#[tokio::test]
async fn a_generated_key_works_at_once_on_every_replica() {
    let app = TestApp::spawn().await;
    let other = app.replica(&[]).await;
    for owner in ["alice", "bob", "carol"] {
        let tenant = app.limited_tenant(owner).await;
        other.client(tenant.api_key()).claim("greet").await.empty();
        tenant.claim("greet").await.empty();
    }
}

#[tokio::test]
async fn a_revoked_key_is_refused_at_once_here_and_within_a_second_elsewhere() {
    let app = TestApp::spawn().await;
    let other = app.replica(&[]).await;
    let alice = app.tenant("alice").await;
    let elsewhere = other.client(alice.api_key());
    // Asked often enough to lie in both caches.
    for _ in 0..20 {
        alice.claim("greet").await.empty();
        elsewhere.claim("greet").await.empty();
    }
    let revoked = Instant::now();
    app.admin().revoke_key(alice.api_key()).await.expect(200);
    alice.claim("greet").await.refused(401, "unauthorized");
    while elsewhere.claim("greet").await.status != 401 {
        assert!(revoked.elapsed() < Duration::from_secs(1), "still taken after {:?}", revoked.elapsed());
    }
    for _ in 0..20 {
        elsewhere.claim("greet").await.refused(401, "unauthorized");
        alice.claim("greet").await.refused(401, "unauthorized");
    }
}

#[tokio::test]
async fn only_the_hash_of_a_key_is_stored() {
    let app = TestApp::spawn().await;
    let alice = app.limited_tenant("alice").await;
    assert!(alice.api_key().starts_with("tk_") && alice.api_key().len() >= 3 + 32, "128 bits or more");
    let rows: String =
        app.db.value("SELECT string_agg(api_keys::text || tenants::text, ' ') FROM api_keys, tenants", &[]).await;
    assert!(!rows.contains(&alice.api_key()[3..]), "{rows}");
    let hash: Vec<u8> = app.db.value("SELECT key_hash FROM api_keys", &[]).await;
    assert_eq!(hash, intent_bus::domain::hash::key_hash(alice.api_key()));
}

#[tokio::test]
async fn keys_of_one_tenant_share_what_it_has() {
    let app = TestApp::spawn().await;
    let alice = app.tenant("alice").await;
    let rotated = "tk_rotated_0123456789abcdef0123456789abcdef";
    let hash = intent_bus::domain::hash::key_hash(rotated);
    app.db
        .execute("INSERT INTO api_keys (tenant_id, key_hash) SELECT tenant_id, $1 FROM api_keys", &[&&hash[..]])
        .await;
    let id = alice.published(intent("greet")).await;
    app.admin().revoke_key(alice.api_key()).await.expect(200);
    assert_eq!(app.client(rotated).claimed("greet").await.id, id);
}
