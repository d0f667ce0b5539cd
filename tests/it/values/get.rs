//! `GET /get/{key}`

use serde_json::json;

use crate::support::TestApp;

#[tokio::test]
async fn a_key_that_was_never_set_is_not_found() {
    let app = TestApp::spawn().await;
    app.root().value("k").await.refused(404, "not_found");
}

#[tokio::test]
async fn a_value_is_gone_when_its_time_is_over() {
    let app = TestApp::spawn().await;
    app.root().set("k", json!("v")).await.expect(200);
    app.db.batch("UPDATE key_values SET expires_at = clock_timestamp()").await;
    app.root().value("k").await.refused(404, "not_found");
    app.root().set("k", json!("w")).await.expect(200);
    assert_eq!(app.root().value("k").await.expect(200)["value"], "w");
}

#[tokio::test]
async fn a_tenant_sees_its_own_values_only() {
    let app = TestApp::spawn().await;
    let (alice, bob, root) = (app.tenant("alice").await, app.tenant("bob").await, app.root());
    alice.set("k", json!("alice's")).await.expect(200);
    bob.value("k").await.refused(404, "not_found");
    root.value("k").await.refused(404, "not_found");
    bob.set("k", json!("bob's")).await.expect(200);
    assert_eq!(alice.value("k").await.expect(200)["value"], "alice's");
}
