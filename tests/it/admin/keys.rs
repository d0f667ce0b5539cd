//! `POST /admin/generate_key` and `POST /admin/revoke_key`. What keys reach and how they are rotated is in `reach.rs`.

use serde_json::json;

use crate::support::{TestApp, factory::intent};

#[tokio::test]
async fn a_new_key_is_shown_once_and_belongs_to_a_tenant_of_its_own() {
    let app = TestApp::spawn().await;
    let first = app.admin().generate_key("  alice ").await.expect(201);
    let second = app.admin().generate_key("alice").await.expect(201);
    assert_eq!((&first["owner"], first.as_object().unwrap().len()), (&json!("alice"), 5));
    assert_ne!(first["api_key"], second["api_key"]);
    let (first, second) =
        (app.client(first["api_key"].as_str().unwrap()), app.client(second["api_key"].as_str().unwrap()));
    let id = first.published(intent("greet")).await;
    second.status(&id).await.refused(403, "forbidden");
}

#[tokio::test]
async fn an_owner_is_a_text_of_1_to_128_characters() {
    let app = TestApp::spawn().await;
    let admin = app.admin();
    for owner in [json!(""), json!("  "), json!("x".repeat(129)), json!(5), json!(null), json!("a\0b"), json!(["a"])] {
        admin.post("/admin/generate_key", json!({"owner": owner})).await.refused(400, "invalid_request");
    }
    admin.post("/admin/generate_key", "{}").await.refused(400, "invalid_request");
    admin.post("/admin/generate_key", "").await.refused(400, "invalid_json");
    admin.post("/admin/generate_key", r#"{"owner": "\ud800"}"#).await.refused(400, "invalid_request");
    for owner in ["é".repeat(128).as_str(), "שלום 🚀", "<script>"] {
        assert_eq!(admin.generate_key(owner).await.expect(201)["owner"], owner);
    }
    assert_eq!(app.db.count("api_keys").await, 3);
}

#[tokio::test]
async fn a_key_is_revoked_for_good() {
    let app = TestApp::spawn().await;
    let alice = app.tenant("alice").await;
    for _ in 0..2 {
        assert_eq!(app.admin().revoke_key(alice.api_key()).await.expect(200), json!({"ok": true}));
        alice.claim("greet").await.refused(401, "unauthorized");
    }
}

#[tokio::test]
async fn a_key_that_is_not_there_cannot_be_revoked() {
    let app = TestApp::spawn().await;
    app.admin().revoke_key("tk_unknown").await.refused(404, "not_found");
    app.admin().revoke_key(app.root().api_key()).await.refused(404, "not_found");
    app.root().claim("greet").await.empty();
    for body in ["{}", r#"{"api_key": ""}"#, r#"{"api_key": 5}"#, r#"{"api_key": null}"#] {
        app.admin().post("/admin/revoke_key", body).await.refused(400, "invalid_request");
    }
}

#[tokio::test]
async fn what_a_revoked_key_has_published_stays() {
    let app = TestApp::spawn().await;
    let alice = app.tenant("alice").await;
    let id = alice.published(intent("greet")).await;
    app.admin().revoke_key(alice.api_key()).await.expect(200);
    assert_eq!(app.root().status(&id).await.expect(200)["status"], "open");
}
