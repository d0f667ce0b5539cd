//! `GET /admin/dashboard`

use serde_json::json;

use crate::support::{
    TestApp,
    app::{ADMIN, METRICS, PASSWORD, ROOT},
    factory::intent_with,
};

const SCRIPT: &str = "<script>alert('x')</script>\"&";

#[tokio::test]
async fn what_comes_from_clients_is_shown_as_text() {
    let app = TestApp::spawn().await;
    let alice = app.tenant(SCRIPT).await;
    alice.published(intent_with(&format!("goal {SCRIPT}"), json!({"max_attempts": 1}))).await;
    let worker = alice.with("x-worker-id", format!("worker {SCRIPT}"));
    let claim = worker.post("/claim", "").await.claim();
    let page = app.admin().get("/admin/dashboard").await;
    assert!(page.text().contains("worker &#60;script&#62;"), "{}", page.text());
    alice.fail(&claim, &format!("reason {SCRIPT}")).await.expect(200);
    let page = app.admin().get("/admin/dashboard").await;
    assert_eq!(page.status, 200);
    let text = page.text();
    for what in ["goal", "worker", "reason"] {
        assert!(text.contains(&format!("{what} &#60;script&#62;")), "{what}: {text}");
    }
    assert!(text.contains("<td>&#60;script&#62;"), "the owner: {text}");
    assert!(!text.contains("<script"), "{text}");
}

#[tokio::test]
async fn the_page_loads_nothing_from_outside_and_nothing_inline() {
    let app = TestApp::spawn().await;
    let page = app.admin().get("/admin/dashboard").await;
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    let policy = page.header("content-security-policy").unwrap();
    for directive in [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'none'",
    ] {
        assert!(policy.contains(directive), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    for inline in ["style=", "<style", "onclick=", "http://", "https://", "javascript:"] {
        assert!(!page.text().contains(inline), "{inline}: {}", page.text());
    }
    let style = app.nobody().get("/admin/style.css").await;
    assert!(style.status == 200 && style.header("content-type").unwrap().starts_with("text/css"));
    assert!(!style.text().contains("url(") && !style.text().contains("@import"));
}

#[tokio::test]
async fn the_page_holds_no_key_token_or_payload() {
    let app = TestApp::spawn().await;
    let alice = app.tenant("alice").await;
    let mut tokens = Vec::new();
    for goal in ["open", "held", "done", "dead"] {
        let body = json!({"goal": goal, "payload": {"canary": "payload-canary"}, "reward": "reward-canary"});
        alice.published(body).await;
        if goal != "open" {
            tokens.push(alice.claimed(goal).await);
        }
    }
    alice.fulfill(&tokens[1], json!("result-canary")).await.expect(200);
    alice.fail(&tokens[2], "visible reason").await.expect(200);
    alice.set("key-canary", json!("value-canary")).await.expect(200);
    app.admin().cleanup().await.expect(200);
    let page = app.admin().get("/admin/dashboard").await;
    let text = page.text();
    assert!(text.contains("visible reason") && text.contains("alice"), "else this proves nothing: {text}");
    let canaries = [
        "payload-canary",
        "reward-canary",
        "result-canary",
        "key-canary",
        "value-canary",
        ROOT,
        ADMIN,
        PASSWORD,
        METRICS,
    ];
    for canary in canaries
        .into_iter()
        .chain([alice.api_key(), &alice.api_key()[3..]])
        .chain(tokens.iter().map(|claim| claim.token.as_str()))
    {
        assert!(!text.contains(canary), "{canary}");
    }
}

#[tokio::test]
async fn the_page_shows_the_newest_intents_of_every_state_and_the_counts() {
    let app = TestApp::spawn().await;
    let alice = app.tenant("alice").await;
    for goal in ["first-open", "then-held", "then-done"] {
        alice.published(intent_with(goal, json!({"namespace": "east"}))).await;
    }
    let claim = async |goal: &str| alice.post(&format!("/claim?namespace=east&goal={goal}"), "").await.claim();
    claim("then-held").await;
    alice.fulfill(&claim("then-done").await, json!(1)).await.expect(200);
    app.db.pass_a_minute().await;
    app.admin().cleanup().await.expect(200);
    let page = app.admin().get("/admin/dashboard").await;
    let text = page.text();
    let place = |goal: &str| text.find(goal).unwrap_or_else(|| panic!("no {goal}: {text}"));
    assert!(place("then-done") < place("then-held") && place("then-held") < place("first-open"));
    for state in ["open", "claimed", "fulfilled"] {
        assert!(text.contains(&format!("<strong>1</strong> {state}")), "{state}: {text}");
    }
}

#[tokio::test]
async fn an_empty_bus_has_a_page_too() {
    let app = TestApp::spawn().await;
    let page = app.admin().get("/admin/dashboard").await;
    assert_eq!(page.status, 200);
    assert!(page.text().contains("None yet"), "{}", page.text());
}
