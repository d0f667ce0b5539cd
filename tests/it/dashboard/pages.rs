//! What pages show, and what they load.

use intent_bus::http::routes::PAGES;
use serde_json::json;

use super::{browser, pages};
use crate::support::{
    TestApp,
    app::{ADMIN, METRICS, PASSWORD, ROOT},
    factory::intent_with,
};

const SCRIPT: &str = "<script>alert('x')</script>\"&";
const ESCAPED: &str = "&#60;script&#62;alert(&#39;x&#39;)&#60;/script&#62;&#34;&#38;";

#[tokio::test]
async fn what_comes_from_clients_is_shown_as_text_on_every_page() {
    let app = TestApp::spawn().await;
    let (alice, operator) = (app.tenant(SCRIPT).await, browser(&app));
    let body = intent_with(&format!("goal {SCRIPT}"), json!({"max_attempts": 1, "payload": {SCRIPT: SCRIPT}}));
    let id = alice.published(body.clone()).await;
    let worker = alice.with("x-worker-id", format!("worker {SCRIPT}"));
    let claim = worker.post("/claim", "").await.claim();
    alice.fail(&claim, &format!("reason {SCRIPT}")).await.expect(200);
    let done = alice.published(body).await;
    let claim = worker.post("/claim", "").await.claim();
    alice.fulfill(&claim, json!(SCRIPT)).await.expect(200);
    app.admin()
        .post("/admin/pause", json!({"namespace": "default", "goal": format!("goal {SCRIPT}")}))
        .await
        .expect(200);
    let mut shown = 0;
    let query = "?goal=%3Cscript%3E%22&error=%3Cscript%3E%22&worker=%3Cscript%3E%22&namespace=%3Cscript%3E%22&note=%3Cscript%3E";
    for path in pages(&id, "1").into_iter().chain([format!("/admin/dashboard/intents/{done}")]) {
        for path in [path.clone(), path + query] {
            let page = operator.get(&path).await;
            assert_eq!(page.status, 200, "{path}: {}", page.text());
            let text = page.text();
            assert_eq!(text.matches("<script").count(), 1, "{path}: ours only: {text}");
            assert!(!text.contains("alert('x')"), "{path}: {text}");
            shown += text.matches(ESCAPED).count();
        }
    }
    let detail = operator.get(&format!("/admin/dashboard/intents/{id}")).await;
    for what in ["goal", "worker", "reason"] {
        assert!(detail.text().contains(&format!("{what} {ESCAPED}")), "{what}: {}", detail.text());
    }
    assert!(shown > 15, "else this proves nothing: {shown}");
}

#[tokio::test]
async fn an_intent_leads_to_its_trace_where_there_is_a_place_to_look_at_it() {
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let shown = async |settings: &[(&str, &str)]| {
        let app = TestApp::with(settings).await;
        let id = app.root().with("traceparent", traceparent).published(intent_with("g", json!({}))).await;
        browser(&app).get(&format!("/admin/dashboard/intents/{id}")).await.text().to_owned()
    };
    let code = "<code>0af7651916cd43dd8448eb211c80319c</code>";
    let template = "https://traces.example/explore?q={trace_id}&where=%7B%22a%22%7D";
    let linked = shown(&[("BUS_TRACE_URL", template)]).await;
    let link =
        r#"<a href="https://traces.example/explore?q=0af7651916cd43dd8448eb211c80319c&#38;where=%7B%22a%22%7D">"#;
    assert!(linked.contains(&format!("{link}{code}</a>")), "{linked}");
    let plain = shown(&[]).await;
    assert!(plain.contains(&format!("<dd>{code} <button")) && !plain.contains("traces.example"), "{plain}");
}

#[tokio::test]
async fn pages_load_nothing_from_outside_and_nothing_inline() {
    let app = TestApp::spawn().await;
    let id = app.root().published(intent_with("g", json!({}))).await;
    app.tenant("alice").await;
    let operator = browser(&app);
    let failures = ["/admin/dashboard/keys/none", "/admin/dashboard/intents?tenant=none"].map(str::to_owned);
    for path in pages(&id, "1").into_iter().chain(failures) {
        let page = operator.get(&path).await;
        assert!(page.header("content-type").unwrap().starts_with("text/html"), "{path}");
        let policy = page.header("content-security-policy").unwrap();
        for directive in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
        ] {
            assert!(policy.contains(directive), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(page.header("x-frame-options"), Some("DENY"));
        assert_eq!(page.header("cache-control"), Some("no-store"));
        assert!(page.header("set-cookie").is_none());
        for inline in [" style=", "<style", " onclick=", "http://", "https://", "javascript:", "src=\"//", "href=\"//"]
        {
            assert!(!page.text().contains(inline), "{path}: {inline}: {}", page.text());
        }
    }
    let style = app.nobody().get("/admin/style.css").await;
    assert!(style.status == 200 && style.header("content-type").unwrap().starts_with("text/css"));
    assert!(!style.text().contains("url(") && !style.text().contains("@import"));
    let script = operator.get("/admin/dashboard/script.js").await;
    assert!(script.header("content-type").unwrap().starts_with("text/javascript"));
    assert!(!script.text().contains("eval(") && !script.text().contains("//cdn"));
    assert_eq!(operator.get("/admin/dashboard/icon.svg").await.header("content-type"), Some("image/svg+xml"));
}

#[tokio::test]
async fn pages_hold_no_key_or_token_and_payloads_only_where_one_intent_is_shown() {
    let app = TestApp::spawn().await;
    let alice = app.tenant("alice").await;
    let (mut claims, mut ids) = (Vec::new(), Vec::new());
    for goal in ["open", "held", "done", "dead"] {
        let body = json!({"goal": goal, "payload": {"canary": "payload-canary"}, "reward": "reward-canary"});
        ids.push(alice.published(body).await);
        if goal != "open" {
            claims.push(alice.claimed(goal).await);
        }
    }
    alice.fulfill(&claims[1], json!("result-canary")).await.expect(200);
    alice.fail(&claims[2], "visible reason").await.expect(200);
    alice.set("key-canary", json!("value-canary")).await.expect(200);
    app.admin().cleanup().await.expect(200);
    let secrets = ["reward-canary", "key-canary", "value-canary", ROOT, ADMIN, PASSWORD, METRICS];
    let tokens = claims.iter().map(|claim| claim.token.as_str());
    let secrets: Vec<&str> =
        secrets.into_iter().chain([alice.api_key(), &alice.api_key()[3..]]).chain(tokens).collect();
    let operator = browser(&app);
    let mut seen = String::new();
    let details = ids.iter().map(|id| format!("/admin/dashboard/intents/{id}"));
    for path in pages(&ids[0], "1").into_iter().chain(details).chain(["/admin/dashboard/parts".to_owned()]) {
        let page = operator.get(&path).await;
        assert_eq!(page.status, 200, "{path}: {}", page.text());
        for secret in &secrets {
            assert!(!page.text().contains(secret), "{secret} on {path}");
        }
        if !path.starts_with("/admin/dashboard/intents/") {
            assert!(!page.text().contains("payload-canary") && !page.text().contains("result-canary"), "{path}");
        }
        seen.push_str(page.text());
    }
    for visible in ["visible reason", "alice", "payload-canary", "result-canary"] {
        assert!(seen.contains(visible), "{visible}: else this proves nothing");
    }
}

#[tokio::test]
async fn an_empty_bus_has_all_its_pages() {
    let app = TestApp::spawn().await;
    let operator = browser(&app);
    let says = [
        ("", "Nothing is stuck"),
        ("", "No unfinished intents"),
        ("/intents", "No intents yet"),
        ("/dead", "Nothing has been given up"),
        ("/dead/redrive", "no dead letter is like that"),
        ("/workers", "None has asked for work"),
        ("/pauses", "Nothing is paused"),
        ("/keys", "None but the root key"),
        ("/audit", "No operator has changed anything yet"),
        ("/purge", "Nothing was counted yet"),
    ];
    for (path, words) in says {
        let page = operator.get(&format!("/admin/dashboard{path}")).await;
        assert_eq!(page.status, 200, "{path}");
        assert!(page.text().contains(words), "{path}: {}", page.text());
    }
}

#[tokio::test]
async fn whoever_is_no_operator_sees_no_page() {
    let app = TestApp::spawn().await;
    let alice = app.tenant("alice").await;
    for route in PAGES {
        let path = route.path.replace("{id}", &"0".repeat(32)).replace("{number}", "1");
        let html = app.nobody().with("accept", "text/html").send(route.method, &path, "").await;
        assert_eq!(html.status, 401, "{path}");
        assert_eq!(html.header("www-authenticate"), Some("Basic realm=\"intent-bus\", charset=\"UTF-8\""), "{path}");
        assert_eq!(alice.send(route.method, &path, "").await.status, 403, "{path}");
        app.nobody().send(route.method, &path, "").await.refused(401, "unauthorized");
    }
}

#[tokio::test]
async fn errors_are_pages_for_browsers_and_json_for_everybody_else() {
    let app = TestApp::spawn().await;
    let unknown = format!("/admin/dashboard/intents/{}", "0".repeat(32));
    let page = browser(&app).get(&unknown).await;
    assert_eq!(page.status, 404);
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    assert!(page.text().contains("No such intent") && page.text().contains(page.header("x-request-id").unwrap()));
    app.admin().get(&unknown).await.refused(404, "not_found");
    // Paths of the API stay as they are, whatever a browser accepts.
    browser(&app).get(&format!("/admin/intents/{}", "0".repeat(32))).await.refused(404, "not_found");
}

#[tokio::test]
async fn what_is_typed_into_a_search_is_answered_with_words_and_never_with_a_fault() {
    let app = TestApp::spawn().await;
    let operator = browser(&app);
    for query in [
        "id=xyz",
        "tenant=none",
        "tenant=99999999999999999999",
        "state=nowhere",
        "since=yesterday",
        "until=9999-99-99T00:00",
    ] {
        let page = operator.get(&format!("/admin/dashboard/intents?{query}")).await;
        assert_eq!(page.status, 400, "{query}");
        assert!(page.text().contains("class=\"problem\""), "{query}");
    }
    for query in [
        "goal=%00&error=%00",
        "goal=%F0%9F%98%80&error=%25_%5C",
        "since=0001-01-01T00:00&until=9999-12-31T23:59",
        "since=-009999-01-01T00:00",
        "tenant=-1",
        "before=",
        "namespace=no%20namespace",
    ] {
        for list in ["intents", "dead", "dead/redrive"] {
            let page = operator.get(&format!("/admin/dashboard/{list}?{query}")).await;
            assert!(page.status < 500, "{list} {query}: {}", page.text());
        }
    }
    for path in
        ["intents?before=x", "dead?before=x", "workers?before=x", "keys?before=x", "audit?before=x", "intents?goal=%ff"]
    {
        assert_eq!(operator.get(&format!("/admin/dashboard/{path}")).await.status, 400, "{path}");
    }
    // An id leads to its intent.
    let id = app.root().published(intent_with("g", json!({}))).await;
    let page = operator.get(&format!("/admin/dashboard/intents?id={id}")).await;
    assert!(page.text().contains(&id) && page.text().contains("Timeline"), "{}", page.text());
}

#[tokio::test]
async fn lists_go_on_page_by_page() {
    let app = TestApp::spawn().await;
    let intents: Vec<_> = (0..120).map(|number| intent_with(&format!("g{number:03}"), json!({}))).collect();
    app.root().published_many(&intents).await;
    let operator = browser(&app);
    let (mut path, mut seen, mut turned) = ("/admin/dashboard/intents".to_owned(), Vec::new(), 0);
    loop {
        let page = operator.get(&path).await;
        let rows = page.text().split("title=\"g").skip(1).map(|row| row[..3].to_owned());
        seen.extend(rows);
        let Some((before, _)) = page.text().split_once("\" rel=\"next\"") else { break };
        path = before.rsplit('"').next().unwrap().replace("&#38;", "&");
        turned += 1;
    }
    assert_eq!(turned, 2);
    assert_eq!(seen.len(), 120);
    let mut once = seen.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), 120, "none twice, none left out");
}

#[tokio::test]
async fn the_list_of_keys_says_when_each_ends() {
    let app = TestApp::spawn().await;
    let operator = browser(&app);
    let ends = async || {
        let page = operator.get("/admin/dashboard/keys").await;
        let (_, cell) = page.text().split_once("class=\"when\" data-label=\"end").expect("the cell");
        let (label, cell) = cell.split_once("\">").expect("its end");
        (label.to_owned(), cell.split_once("</td>").expect("the end of it").0.to_owned())
    };
    app.admin().generate_key("alice").await.expect(201);
    assert_eq!(ends().await, ("s".to_owned(), "<span class=\"quiet\">never</span>".to_owned()));
    let set = async |sql: &str| app.db.batch(&format!("UPDATE api_keys SET {sql}")).await;
    set("expires_at = '2100-01-02 03:04:05Z'").await;
    let (label, cell) = ends().await;
    assert!(label == "s" && cell.contains("2100-01-02"), "{label} {cell}");
    set("revoked_at = '2020-01-02 03:04:05Z'").await;
    let (label, cell) = ends().await;
    assert!(label == "ed" && cell.contains("2020-01-02"), "{label} {cell}");
}

#[tokio::test]
async fn the_audit_log_says_in_words_what_was_done_to_what() {
    let app = TestApp::spawn().await;
    let admin = app.admin();
    let key = admin.generate_key("alice").await.expect(201)["id"].clone();
    admin.post("/admin/pause", json!({"namespace": "east", "goal": "greet"})).await.expect(200);
    admin.post("/admin/pause", json!({"namespace": "west"})).await.expect(200);
    let id = app.root().published(intent_with("g", json!({}))).await;
    admin.cancel(&id).await.expect(200);
    let page = browser(&app).get("/admin/dashboard/audit").await;
    for words in [
        "goal greet in namespace east",
        "namespace west, all goals",
        &format!("href=\"/admin/dashboard/keys/{key}\">key {key}<"),
        &format!("href=\"/admin/dashboard/intents/{id}\">intent {id}<"),
    ] {
        assert!(page.text().contains(words), "{words}: {}", page.text());
    }
}
