//! `POST /admin/purge` and `POST /admin/cleanup`. What a pass does is in `maintenance`.

use serde_json::json;

use crate::support::{
    TestApp,
    factory::{intent, intent_with},
};

/// Two unfinished, one fulfilled and one dead intent in each of two namespaces.
async fn fill(app: &TestApp) {
    let alice = app.tenant("alice").await;
    for namespace in ["east", "west"] {
        let publish = async |goal: &str| alice.published(intent_with(goal, json!({"namespace": namespace}))).await;
        let claim =
            async |goal: &str| alice.post(&format!("/claim?namespace={namespace}&goal={goal}"), "").await.claim();
        publish("open").await;
        publish("held").await;
        claim("held").await;
        publish("done").await;
        alice.fulfill(&claim("done").await, json!(1)).await.expect(200);
        app.admin().cancel(&publish("dead").await).await.expect(200);
    }
}

#[tokio::test]
async fn a_purge_has_to_be_confirmed() {
    let app = TestApp::spawn().await;
    fill(&app).await;
    for body in [
        "{}",
        r#"{"confirm": false}"#,
        r#"{"confirm": "true"}"#,
        r#"{"confirm": 1}"#,
        r#"{"confirm": null, "namespace": "east"}"#,
    ] {
        app.admin().post("/admin/purge", body).await.refused(400, "invalid_request");
    }
    app.admin().post("/admin/purge", "").await.refused(400, "invalid_json");
    app.admin()
        .post("/admin/purge", json!({"confirm": true, "namespace": "a/b"}))
        .await
        .refused(400, "invalid_namespace");
    assert_eq!((app.db.count("intents").await, app.db.count("finished").await), (4, 4));
}

#[tokio::test]
async fn a_purge_of_one_namespace_leaves_the_others() {
    let app = TestApp::spawn().await;
    fill(&app).await;
    let purged = app.admin().post("/admin/purge", json!({"confirm": true, "namespace": "east"})).await.expect(200);
    assert_eq!(purged, json!({"ok": true, "purged": {"unfinished": 2, "finished": 2}}));
    assert_eq!((app.db.count("intents").await, app.db.count("finished").await), (2, 2));
    assert_eq!(app.db.count("payloads").await, 4);
    assert_eq!(app.db.value::<i64>("SELECT open_intents FROM quotas", &[]).await, 2);
    assert_eq!(app.db.value::<i64>("SELECT count(*) FROM intents WHERE namespace = 'west'", &[]).await, 2);
}

#[tokio::test]
async fn a_purge_leaves_keys_values_and_idempotency_keys() {
    let app = TestApp::spawn().await;
    fill(&app).await;
    let root = app.root();
    root.set("k", json!("v")).await.expect(200);
    let keyed = root.with("idempotency-key", "k");
    let first = keyed.published(intent("greet")).await;
    let purged = app.admin().post("/admin/purge", json!({"confirm": true})).await.expect(200);
    assert_eq!(purged["purged"], json!({"unfinished": 5, "finished": 4}));
    for table in ["intents", "finished", "payloads"] {
        assert_eq!(app.db.count(table).await, 0, "{table}");
    }
    assert_eq!(root.value("k").await.expect(200)["value"], "v");
    assert_eq!(keyed.published(intent("greet")).await, first);
    root.status(&first).await.refused(404, "not_found");
    assert_eq!(app.db.count("api_keys").await, 1);
}

#[tokio::test]
async fn a_purge_takes_its_intents_out_of_the_totals() {
    let app = TestApp::spawn().await;
    fill(&app).await;
    app.count_all().await;
    let metrics = async || app.admin().get("/metrics").await.text().to_owned();
    assert!(metrics().await.contains(r#"intents_total{namespace="east""#));
    app.admin().post("/admin/purge", json!({"confirm": true, "namespace": "east"})).await.expect(200);
    let text = metrics().await;
    assert!(
        !text.contains(r#"intents_total{namespace="east""#) && text.contains(r#"intents_total{namespace="west""#),
        "{text}"
    );
}

#[tokio::test]
async fn a_cleanup_with_nothing_to_do_says_so() {
    let app = TestApp::spawn().await;
    app.admin().cleanup().await.expect(200);
    let idle = json!({
        "lapsed_claims": 0, "expired_intents": 0, "moved_payloads": 0, "values": 0, "emptied_slots": 0, "dropped_partitions": 0,
    });
    assert_eq!(app.admin().cleanup().await.expect(200), idle);
}
