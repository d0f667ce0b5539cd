//! `GET /admin/dead` and `GET /admin/dead/{id}`

use serde_json::json;

use crate::support::{
    TestApp,
    factory::{intent, intent_with},
};

#[tokio::test]
async fn a_dead_letter_says_what_it_was_and_why_it_died() {
    let app = TestApp::spawn().await;
    let root = app.root();
    assert_eq!(app.admin().get("/admin/dead").await.expect(200), json!([]));
    let id = root.published(intent_with("greet", json!({"namespace": "east", "max_attempts": 1}))).await;
    let claim = root.post("/claim?namespace=east", "").await.claim();
    root.fail(&claim, "no paper").await.expect(200);
    let list = app.admin().get("/admin/dead").await.expect(200);
    let died = list[0]["created_at"].as_f64().unwrap();
    let mut letter = json!({
        "intent_id": id, "namespace": "east", "goal": "greet", "attempts": 1, "reason": "no paper", "created_at": died,
    });
    assert_eq!(list, json!([letter]));
    letter["payload"] = json!({"n": 1});
    assert_eq!(app.admin().get(&format!("/admin/dead/{id}")).await.expect(200), letter);
    assert!((died - root.status(&id).await.expect(200)["completed_at"].as_f64().unwrap()).abs() < 0.001);
}

#[tokio::test]
async fn the_newest_100_are_listed_newest_first() {
    let app = TestApp::spawn().await;
    let mut ids = Vec::new();
    for _ in 0..103 {
        let id = app.root().published(intent("greet")).await;
        app.admin().cancel(&id).await.expect(200);
        ids.push(id);
    }
    ids.reverse();
    let list = app.admin().get("/admin/dead").await.expect(200);
    let listed: Vec<&str> =
        list.as_array().unwrap().iter().map(|letter| letter["intent_id"].as_str().unwrap()).collect();
    assert_eq!(listed, ids[..100]);
}

#[tokio::test]
async fn what_is_not_dead_is_no_dead_letter() {
    let app = TestApp::spawn().await;
    let root = app.root();
    let id = root.published(intent("greet")).await;
    let show = async || app.admin().get(&format!("/admin/dead/{id}")).await;
    show().await.refused(404, "not_found");
    root.fulfill(&root.claimed("greet").await, json!(1)).await.expect(200);
    show().await.refused(404, "not_found");
    app.admin().cancel(&id).await.expect(200);
    show().await.expect(200);
    app.admin().retry(&id).await.expect(200);
    show().await.refused(404, "not_found");
    assert_eq!(app.admin().get("/admin/dead").await.expect(200), json!([]));
    app.admin().get("/admin/dead/x").await.refused(404, "not_found");
}

#[tokio::test]
async fn an_intent_that_died_without_a_claim_has_a_reason_too() {
    let app = TestApp::with(&[("BUS_INTENT_TTL_SECONDS", "100")]).await;
    let id = app.root().published(intent("greet")).await;
    app.db.age(&id, 101.0).await;
    app.admin().cleanup().await.expect(200);
    let list = app.admin().get("/admin/dead").await.expect(200);
    assert_eq!((&list[0]["reason"], &list[0]["attempts"]), (&json!("Expired: nobody claimed it in time."), &json!(0)));
}
