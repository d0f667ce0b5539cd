//! `GET /admin/audit`: each act has its line, and none holds a secret.

use std::collections::BTreeSet;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use crate::support::{
    TestApp,
    app::{ADMIN, PASSWORD, ROOT},
    factory::intent,
};

#[tokio::test]
async fn each_act_writes_a_line_and_none_holds_a_key() {
    let app = TestApp::spawn().await;
    let admin = app.admin();
    let basic =
        app.nobody().with("authorization", format!("Basic {}", BASE64_STANDARD.encode(format!("admin:{PASSWORD}"))));
    let made = admin.with("x-request-id", "the-first").generate_key("alice").await.expect(201);
    let alice = app.client(made["api_key"].as_str().unwrap());
    let number = &made["id"];
    let id = alice.published(intent("greet")).await;
    basic.cancel(&id).await.expect(200);
    app.root().retry(&id).await.expect(200);
    admin.cancel(&id).await.expect(200);
    admin.post("/admin/dead/redrive", json!({"dry_run": false, "goal": "greet"})).await.expect(200);
    let what = json!({"namespace": "default", "goal": "greet"});
    assert_eq!(admin.post("/admin/pause", what.clone()).await.expect(200)["changed"], true);
    assert_eq!(admin.post("/admin/pause", what.clone()).await.expect(200)["changed"], false);
    assert_eq!(admin.get("/admin/pauses").await.expect(200)["pauses"][0]["goal"], "greet");
    alice.claim("greet").await.empty();
    assert_eq!(admin.post("/admin/resume", what).await.expect(200)["changed"], true);
    let rotated = admin.post(&format!("/admin/keys/{number}/rotate"), "").await.expect(201);
    admin.post(&format!("/admin/keys/{number}/scopes"), json!({"scopes": ["read"]})).await.expect(200);
    admin.post(&format!("/admin/tenants/{}/limits", made["tenant"]), json!({"max_open_intents": 5})).await.expect(200);
    admin.post(&format!("/admin/keys/{number}/revoke"), "").await.expect(200);
    admin.post("/admin/purge", json!({"confirm": true, "namespace": "east"})).await.expect(200);
    // What does nothing leaves nothing.
    admin.post("/admin/purge", json!({"dry_run": true})).await.expect(200);
    admin.post("/admin/dead/redrive", "{}").await.expect(200);
    admin.cancel(&"0".repeat(32)).await.refused(404, "not_found");
    admin.post("/admin/keys/99/revoke", "").await.refused(404, "not_found");

    let answer = admin.get("/admin/audit").await;
    for secret in [ROOT, ADMIN, PASSWORD, &alice.api_key()[3..], &rotated["api_key"].as_str().unwrap()[3..]] {
        assert!(!answer.text().contains(secret), "{}", answer.text());
    }
    let log = answer.expect(200);
    let lines = log["lines"].as_array().unwrap();
    let told: Vec<(&str, &str, &str)> = lines
        .iter()
        .map(|line| {
            let text = |name: &str| line[name].as_str().unwrap_or_default();
            (text("actor"), text("action"), text("target"))
        })
        .collect();
    let number = number.to_string();
    let tenant = made["tenant"].to_string();
    assert_eq!(
        told,
        [
            ("admin_token", "purge", "east"),
            ("admin_token", "revoke_key", number.as_str()),
            ("admin_token", "set_limits", tenant.as_str()),
            ("admin_token", "set_scopes", number.as_str()),
            ("admin_token", "rotate_key", number.as_str()),
            ("admin_token", "resume", "default"),
            ("admin_token", "pause", "default"),
            ("admin_token", "redrive", ""),
            ("admin_token", "cancel", id.as_str()),
            ("root_key", "retry", id.as_str()),
            ("dashboard", "cancel", id.as_str()),
            ("admin_token", "generate_key", number.as_str()),
        ]
    );
    assert_eq!(lines.last().unwrap()["request_id"], "the-first");
    assert_eq!(lines.last().unwrap()["details"]["owner"], "alice");
}

#[tokio::test]
async fn the_log_is_read_page_by_page() {
    let app = TestApp::spawn().await;
    for owner in ["a", "b", "c", "d", "e"] {
        app.admin().generate_key(owner).await.expect(201);
    }
    let (mut ids, mut before) = (BTreeSet::new(), String::new());
    loop {
        let page = app.admin().get(&format!("/admin/audit?limit=2&before={before}")).await.expect(200);
        ids.extend(page["lines"].as_array().unwrap().iter().map(|line| line["id"].as_i64().unwrap()));
        let Some(next) = page["next"].as_str() else { break };
        next.clone_into(&mut before);
    }
    assert_eq!(ids.len(), 5);
    app.admin().get("/admin/audit?before=x").await.refused(400, "invalid_request");
}

#[tokio::test]
async fn a_dry_run_of_a_purge_says_how_many_and_deletes_none() {
    let app = TestApp::spawn().await;
    let root = app.root();
    root.published_many(&vec![intent("greet"); 3]).await;
    root.fulfill(&root.claimed("greet").await, json!(1)).await.expect(200);
    app.count_all().await;
    let would = app.admin().post("/admin/purge", json!({"dry_run": true})).await.expect(200);
    assert_eq!(would, json!({"ok": true, "dry_run": true, "purged": {"unfinished": 2, "finished": 1}}));
    let east = app.admin().post("/admin/purge", json!({"dry_run": true, "namespace": "east"})).await.expect(200);
    assert_eq!(east["purged"]["unfinished"], 0);
    assert_eq!((app.db.count("intents").await, app.db.count("finished").await), (2, 1));
    let body: Value = json!({"dry_run": false});
    app.admin().post("/admin/purge", body).await.refused(400, "invalid_request");
}
