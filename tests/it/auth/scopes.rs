//! What a key may be used for, over every route for clients, and where.

use intent_bus::{
    domain::scopes::Scope,
    http::routes::{Access, ROUTES},
};
use serde_json::json;

use crate::support::{
    TestApp,
    factory::{intent, intent_with},
};

#[tokio::test]
async fn every_client_route_takes_keys_with_its_scope_and_no_others() {
    let app = TestApp::spawn().await;
    let mut tried = 0;
    for scope in Scope::ALL {
        let name = scope.as_str();
        let others: Vec<&str> = Scope::ALL.iter().map(|scope| scope.as_str()).filter(|other| *other != name).collect();
        let mut clients = Vec::new();
        for scopes in [vec![name], others] {
            let made = app.admin().post("/admin/generate_key", json!({"owner": "alice", "scopes": scopes})).await;
            clients.push(app.client(made.expect(201)["api_key"].as_str().unwrap()));
        }
        for route in ROUTES {
            let Access::Client(needed) = route.access else { continue };
            let target = route.path.replace("{id}", &"0".repeat(32)).replace("{key:.*}", "k");
            let [with, without] = &clients[..] else { panic!("two keys") };
            let (allowed, refused) = if needed == scope { (with, without) } else { (without, with) };
            let answer = allowed.send(route.method, &target, "{}").await;
            assert!(![401, 403].contains(&answer.status), "{} {target} with {name}: {}", route.method, answer.text());
            let message = refused.send(route.method, &target, "{}").await.refused(403, "forbidden");
            assert!(message.contains(needed.as_str()), "{message}");
            tried += 1;
        }
    }
    assert_eq!(tried, 4 * ROUTES.iter().filter(|route| matches!(route.access, Access::Client(_))).count());
    assert_eq!(tried, 4 * 12, "a new route for clients needs a scope that fits it");
}

#[tokio::test]
async fn what_is_refused_for_its_scope_does_nothing_and_needs_a_good_signature_first() {
    let app = TestApp::spawn().await;
    let made = app.admin().post("/admin/generate_key", json!({"owner": "alice", "scopes": ["read"]})).await.expect(201);
    let reader = app.client(made["api_key"].as_str().unwrap());
    reader.publish(intent("greet")).await.refused(403, "forbidden");
    reader.signing().publish(intent("greet")).await.refused(403, "forbidden");
    reader
        .signed_once("POST", "/intent", "another body", 0)
        .publish(intent("greet"))
        .await
        .refused(403, "invalid_signature");
    assert_eq!(app.db.count("intents").await, 0);
}

#[tokio::test]
async fn a_key_sees_and_does_nothing_outside_its_namespaces() {
    let app = TestApp::spawn().await;
    let made = app.admin().post("/admin/generate_key", json!({"owner": "alice"})).await.expect(201);
    let wide = app.client(made["api_key"].as_str().unwrap());
    let body = json!({"tenant": made["tenant"], "namespaces": ["east", "north"]});
    let narrow = app.admin().post("/admin/generate_key", body).await.expect(201);
    let narrow = app.client(narrow["api_key"].as_str().unwrap());
    let east = intent_with("greet", json!({"namespace": "east"}));
    let inside = narrow.published(east.clone()).await;
    let outside = wide.published(intent("greet")).await;
    narrow.status(&inside).await.expect(200);
    narrow.status(&outside).await.refused(404, "not_found");
    narrow.result(&outside).await.refused(404, "not_found");
    let message = narrow.publish(intent("greet")).await.refused(403, "forbidden");
    assert!(message.contains("default"), "{message}");
    narrow.claim("greet").await.refused(403, "forbidden");
    assert_eq!(narrow.post("/claim?namespace=east", "").await.claim().id, inside);
    let outcomes = narrow.publish_many(&[intent("greet"), east]).await.outcomes();
    assert_eq!(outcomes[0]["error"]["code"], "forbidden");
    assert_eq!(outcomes[1]["namespace"], "east");
    // Without a token it would be enough to be of the same tenant.
    let held = wide.claimed("greet").await;
    assert_eq!(held.id, outside);
    for verb in ["fulfill", "fail", "extend_claim"] {
        let message =
            narrow.post(&format!("/{verb}/{outside}"), json!({"seconds": 60})).await.refused(400, "invalid_request");
        assert!(message.contains("claim_token"), "{message}");
    }
    wide.fulfill(&held, json!(1)).await.expect(200);
}
