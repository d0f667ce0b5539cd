//! The route table: every route refuses whoever may not use it, and every route is in the document.

use std::collections::BTreeSet;

use base64::{Engine, prelude::BASE64_STANDARD};
use intent_bus::http::{
    openapi::documented_path,
    routes::{Access, PAGES, ROUTES, Route},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Answer, TestApp, app::ROOT};

/// Routes that anybody may use. This list may only become shorter.
const OPEN: &[&str] = &["/", "/health", "/livez", "/readyz", "/openapi.json", "/admin/style.css"];

fn target(route: &Route) -> String {
    route.path.replace("{id}", &"0".repeat(32)).replace("{key:.*}", "k").replace("{number}", "1")
}

#[test]
fn nothing_is_open_but_what_has_to_be() {
    let open: Vec<&str> = ROUTES.iter().filter(|route| route.access == Access::Open).map(|route| route.path).collect();
    assert_eq!(open, OPEN);
    assert!(ROUTES.iter().filter(|route| route.access == Access::Open).all(|route| route.method == "GET"));
    assert!(PAGES.iter().all(|route| route.access == Access::Admin));
}

#[tokio::test]
async fn every_closed_route_refuses_whoever_may_not_use_it() {
    let app = TestApp::spawn().await;
    let alice = app.tenant("alice").await;
    let basic = |password: &str| format!("Basic {}", BASE64_STANDARD.encode(format!("admin:{password}")));
    let revoked = app.limited_tenant("revoked").await;
    app.admin().revoke_key(revoked.api_key()).await.expect(200);
    let strangers = [
        ("no key", app.nobody()),
        ("an empty key", app.client("")),
        ("an unknown key", app.client("tk_0123456789abcdef0123456789abcdef")),
        ("a revoked key", revoked),
        ("a wrong admin token", app.nobody().with("x-admin-token", "wrong")),
        ("a wrong password", app.nobody().with("authorization", basic("wrong"))),
        ("a wrong bearer", app.nobody().with("authorization", "Bearer wrong")),
    ];
    let mut tried = 0;
    for route in ROUTES.iter().filter(|route| route.access != Access::Open) {
        for (who, client) in &strangers {
            let answer = client.send(route.method, &target(route), "{}").await;
            assert_eq!(answer.status, 401, "{} {} with {who}: {}", route.method, route.path, answer.text());
            answer.refused(401, "unauthorized");
            tried += 1;
        }
        if !matches!(route.access, Access::Client(_)) {
            let answer = alice.send(route.method, &target(route), "{}").await;
            assert_eq!(answer.status, 403, "{} {} with a tenant's key", route.method, route.path);
            let answer = app.root().declaring("7.61").send(route.method, &target(route), "{}").await;
            assert_eq!(answer.status, 403, "{} {} with the root key under 2.x", route.method, route.path);
        }
    }
    assert_eq!(tried, (ROUTES.len() - OPEN.len()) * strangers.len());
}

#[tokio::test]
async fn every_closed_route_lets_in_who_may_use_it() {
    let app = TestApp::spawn().await;
    for route in ROUTES {
        let client = match route.access {
            Access::Open => app.nobody(),
            Access::Client(_) => app.client(ROOT),
            Access::Admin | Access::Metrics => app.admin(),
        };
        let answer = client.send(route.method, &target(route), "{}").await;
        assert!(
            ![401, 403, 405].contains(&answer.status) && answer.status < 500,
            "{} {}: {}",
            route.method,
            route.path,
            answer.status
        );
    }
}

#[tokio::test]
async fn every_client_route_refuses_an_unsigned_request_where_signatures_are_required() {
    let app = TestApp::with(&[("BUS_REQUIRE_SIGNATURES", "true")]).await;
    for route in ROUTES.iter().filter(|route| matches!(route.access, Access::Client(_))) {
        let answer = app.root().send(route.method, &target(route), "{}").await;
        answer.refused(403, "invalid_signature");
    }
}

#[tokio::test]
async fn every_client_route_counts_in_the_rate() {
    let app = TestApp::with(&[("BUS_RATE_LIMIT_PER_MINUTE", "1")]).await;
    let alice = app.limited_tenant("alice").await;
    alice.claim("nothing").await.empty();
    for route in ROUTES.iter().filter(|route| matches!(route.access, Access::Client(_))) {
        let body = r#"{"goal": "greet", "payload": {}, "value": 1, "claim_token": "x", "seconds": 60,
            "intents": [{"goal": "greet", "payload": {}}],
            "claims": [{"id": "00000000000000000000000000000000", "claim_token": "x"}]}"#;
        alice.send(route.method, &target(route), body).await.refused(429, "rate_limited");
    }
}

/// Stands in everything that Alice publishes, keeps or brings back.
const MARK: &str = "alices-own-7d21";

/// What a stranger who names another tenant's intent, and even holds the token of its claim, may get from a route. A new route has
/// to be thought of here.
fn is_nothing_of_hers(route: &Route, id: &str, answer: &Answer) -> bool {
    match route.path {
        "/status/{id}" | "/result/{id}" => answer.status == 403,
        "/fulfill/{id}" | "/fail/{id}" | "/extend_claim/{id}" => answer.status == 404,
        "/fulfill" | "/fail" => answer.outcomes().iter().all(|outcome| outcome["error"]["code"] == "not_found"),
        "/claim" => answer.status == 204,
        "/intent" => answer.status == 201 && !answer.text().contains(id),
        "/intents" => answer.status == 200 && !answer.text().contains(id),
        "/set/{key:.*}" => answer.status == 200,
        // By the route before this one.
        "/get/{key:.*}" => answer.json()["value"] == "eves",
        unknown => panic!("say here what another tenant may get from {unknown}"),
    }
}

#[tokio::test]
async fn no_route_shows_or_changes_what_is_another_tenants() {
    for generation in ["1.1", "7.61"] {
        let app = TestApp::spawn().await;
        let both = [app.tenant("alice").await, app.tenant("eve").await];
        let [alice, eve] = both.map(|client| client.declaring(generation));
        let rows = "SELECT coalesce(string_agg(kept::text, ''), '') FROM (
            SELECT to_jsonb(intents) AS kept FROM intents WHERE id = $1 UNION ALL
            SELECT to_jsonb(finished) FROM finished WHERE id = $1
        ) AS rows";
        let mut tried = 0;
        alice.set("k", json!(MARK)).await.expect(200);
        for state in ["open", "claimed", "fulfilled", "dead"] {
            let goal = format!("{MARK}-{state}");
            let alice = alice.with("idempotency-key", state);
            let id = alice.published(json!({"goal": goal, "payload": {"mark": MARK}, "max_attempts": 1})).await;
            let mut token = "0".repeat(32);
            if state != "open" {
                let claim = alice.claimed(&goal).await;
                token.clone_from(&claim.token);
                match state {
                    "fulfilled" => drop(alice.fulfill(&claim, json!(MARK)).await.expect(200)),
                    "dead" => drop(alice.fail(&claim, MARK).await.expect(200)),
                    _ => {}
                }
            }
            let uuid = Uuid::try_parse(&id).unwrap();
            let before: String = app.db.value(rows, &[&uuid]).await;
            let body = json!({
                "goal": "eves", "payload": {}, "value": "eves", "result": "eves", "error": "eves", "seconds": 60,
                "claim_token": token, "intents": [{"goal": "eves", "payload": {}}],
                "claims": [{"id": id, "claim_token": token, "result": "eves", "error": "eves"}],
            });
            let eve = eve.with("idempotency-key", state);
            for route in ROUTES.iter().filter(|route| matches!(route.access, Access::Client(_))) {
                let query = if route.path == "/claim" { format!("?goal={goal}") } else { String::new() };
                let target = route.path.replace("{id}", &id).replace("{key:.*}", "k") + &query;
                let answer = eve.send(route.method, &target, body.to_string()).await;
                let what =
                    format!("{} {target}, {state}, {generation}: {} {}", route.method, answer.status, answer.text());
                assert!(is_nothing_of_hers(route, &id, &answer), "{what}");
                assert!(!answer.text().contains(MARK) && !answer.text().contains(&token), "{what}");
                tried += 1;
            }
            if generation == "1.1" {
                // Where whose claim it is suffices.
                for verb in ["fulfill", "fail", "extend_claim"] {
                    let tokenless = json!({"result": "eves", "error": "eves", "seconds": 60});
                    eve.post(&format!("/{verb}/{id}"), tokenless).await.refused(404, "not_found");
                }
            }
            assert_eq!(app.db.value::<String>(rows, &[&uuid]).await, before, "{state}, {generation}");
        }
        assert_eq!(alice.value("k").await.expect(200)["value"], MARK);
        assert_eq!(tried, 4 * 12, "every route of clients, in every state");
    }
}

/// Anybody may work on a public intent, and see where it stands. What its publisher says in it is for who claims it, and what comes of
/// it for its publisher and who claimed it.
#[tokio::test]
async fn a_stranger_gets_no_payload_of_a_public_intent_without_claiming_it_and_no_result() {
    let app = TestApp::spawn().await;
    let [alice, eve] = [app.tenant("alice").await, app.tenant("eve").await].map(|client| client.declaring("7.61"));
    let public = json!({"goal": "open-to-all", "payload": {"mark": MARK}, "visibility": "public"});
    let id = alice.published(public).await;
    let claim = alice.claimed("open-to-all").await;
    let refused = async || {
        for verb in ["fulfill", "fail", "extend_claim"] {
            let forged = json!({"claim_token": "0".repeat(32), "result": "eves", "error": "eves", "seconds": 60});
            eve.post(&format!("/{verb}/{id}"), forged).await.refused(404, "not_found");
        }
        assert_eq!(eve.claim("open-to-all").await.status, 204);
        let status = eve.status(&id).await;
        assert!(status.status == 200 && !status.text().contains(MARK), "{}", status.text());
        eve.get(&format!("/result/{id}")).await.refused(403, "forbidden");
    };
    refused().await;
    alice.fulfill(&claim, json!(MARK)).await.expect(200);
    refused().await;
    assert_eq!(alice.result(&id).await.expect(200)["result"], MARK);
}

#[tokio::test]
async fn the_document_has_every_route_and_no_other() {
    let app = TestApp::spawn().await;
    let document = app.nobody().get("/openapi.json").await.expect(200);
    let mut documented = BTreeSet::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("a path item") {
            // Common parts are added to every route; what its handler says of itself is what makes it documented.
            if operation["operationId"].is_string() {
                documented.insert((method.to_uppercase(), path.clone()));
            }
        }
    }
    let routes: BTreeSet<_> =
        ROUTES.iter().map(|route| (route.method.to_owned(), documented_path(route.path))).collect();
    assert_eq!(documented, routes);
}

#[tokio::test]
async fn every_closed_route_says_in_the_document_how_to_get_in() {
    let app = TestApp::spawn().await;
    let document = app.nobody().get("/openapi.json").await.expect(200);
    for route in ROUTES {
        let operation = &document["paths"][documented_path(route.path)][route.method.to_lowercase()];
        let security = operation.get("security").or_else(|| document.get("security"));
        let closed = security
            .and_then(Value::as_array)
            .is_some_and(|ways| !ways.is_empty() && ways.iter().all(|way| way != &serde_json::json!({})));
        assert_eq!(closed, route.access != Access::Open, "{} {}: {security:?}", route.method, route.path);
    }
}

#[tokio::test]
async fn the_page_that_shows_the_document_loads_nothing_from_outside() {
    let app = TestApp::spawn().await;
    let page = app.nobody().get("/docs/").await;
    assert_eq!(page.status, 200);
    assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
    for outside in ["http://", "https://", "src=\"//", "href=\"//"] {
        assert!(!page.text().contains(outside), "{outside}: {}", page.text());
    }
}
