//! Operators: by the admin token, the dashboard's password, or under protocol 1.1 the root key.

use base64::{Engine, prelude::BASE64_STANDARD};

use crate::support::{
    Client, TestApp,
    app::{ADMIN, METRICS, PASSWORD},
};

fn basic(client: &Client, user: &str, password: &str) -> Client {
    client.with("authorization", format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}"))))
}

#[tokio::test]
async fn there_are_three_ways_in() {
    let app = TestApp::spawn().await;
    app.admin().get("/admin/dead").await.expect(200);
    basic(&app.nobody(), "admin", PASSWORD).get("/admin/dead").await.expect(200);
    app.root().get("/admin/dead").await.expect(200);
}

#[tokio::test]
async fn a_wrong_secret_is_401_and_says_how_to_log_in() {
    let app = TestApp::spawn().await;
    let nobody = app.nobody();
    let wrong = [
        nobody.clone(),
        nobody.with("x-admin-token", "wrong"),
        nobody.with("x-admin-token", ""),
        nobody.with("x-admin-token", format!("{ADMIN}x")),
        nobody.with("x-admin-token", &ADMIN[1..]),
        nobody.with("x-admin-token", PASSWORD),
        basic(&nobody, "admin", "wrong"),
        basic(&nobody, "admin", ""),
        basic(&nobody, "admin", ADMIN),
        basic(&nobody, "root", PASSWORD),
        basic(&nobody, "Admin", PASSWORD),
        nobody.with("authorization", "Basic"),
        nobody.with("authorization", "Basic !!!"),
        nobody.with("authorization", format!("Basic {}", BASE64_STANDARD.encode(b"admin:\xff"))),
        nobody.with("authorization", format!("Bearer {ADMIN}")),
        nobody.with("authorization", format!("Bearer {METRICS}")),
        app.client("tk_unknown"),
    ];
    for (number, client) in wrong.iter().enumerate() {
        let answer = client.get("/admin/dead").await;
        assert_eq!(answer.status, 401, "number {number}: {}", answer.text());
        assert!(answer.header("www-authenticate").unwrap().starts_with("Basic "));
    }
}

#[tokio::test]
async fn a_tenant_is_no_operator() {
    let app = TestApp::spawn().await;
    let alice = app.tenant("alice").await;
    for version in ["1.1", "7.5", "7.61"] {
        alice.declaring(version).get("/admin/dead").await.refused(403, "forbidden");
    }
    alice.with("x-admin-token", "wrong").get("/admin/dead").await.refused(401, "unauthorized");
    alice.with("x-admin-token", ADMIN).get("/admin/dead").await.expect(200);
}

#[tokio::test]
async fn if_several_secrets_are_sent_the_first_decides_alone() {
    let app = TestApp::spawn().await;
    app.root().with("x-admin-token", "wrong").get("/admin/dead").await.refused(401, "unauthorized");
    basic(&app.root(), "admin", "wrong").get("/admin/dead").await.refused(401, "unauthorized");
    basic(&app.admin(), "admin", "wrong").get("/admin/dead").await.expect(200);
}

#[tokio::test]
async fn a_way_whose_secret_is_not_set_is_closed() {
    let closed = [("BUS_ADMIN_SECRET", ""), ("DASHBOARD_PASSWORD", ""), ("BUS_METRICS_TOKEN", "")];
    let app = TestApp::with(&closed).await;
    let nobody = app.nobody();
    for path in ["/admin/dead", "/metrics"] {
        for value in ["", ADMIN, "null", "none"] {
            nobody.with("x-admin-token", value).get(path).await.refused(401, "unauthorized");
            basic(&nobody, "admin", value).get(path).await.refused(401, "unauthorized");
            nobody.with("authorization", format!("Bearer {value}")).get(path).await.refused(401, "unauthorized");
        }
        assert_eq!(app.root().get(path).await.status, 200);
        app.root().declaring("7.61").get(path).await.refused(403, "forbidden");
    }
}

#[tokio::test]
async fn another_sites_page_cannot_use_the_password_that_a_browser_keeps() {
    let app = TestApp::spawn().await;
    let browser = basic(&app.nobody(), "admin", PASSWORD);
    let own = format!("http://{}", app.address);
    let foreign = [
        browser.with("origin", "https://evil.example"),
        browser.with("origin", "null"),
        browser.with("origin", format!("{own}.evil.example")),
        browser.with("sec-fetch-site", "cross-site"),
        browser.with("sec-fetch-site", "same-site"),
        browser.with("sec-fetch-site", "cross-site").with("origin", &own),
    ];
    for (number, page) in foreign.iter().enumerate() {
        let answer = page.generate_key("mallory").await;
        assert_eq!(answer.status, 403, "number {number}: {}", answer.text());
    }
    assert_eq!(app.db.count("api_keys").await, 0);
    browser.generate_key("by curl").await.expect(201);
    browser.with("origin", &own).generate_key("by the page itself").await.expect(201);
    browser.with("sec-fetch-site", "same-origin").generate_key("by the page itself").await.expect(201);
    app.admin().with("origin", "https://evil.example").generate_key("a header no page can send").await.expect(201);
}

#[tokio::test]
async fn what_another_sites_page_loads_with_the_browsers_password_is_refused_and_a_link_is_followed() {
    let app = TestApp::spawn().await;
    let browser = basic(&app.nobody(), "admin", PASSWORD);
    let elsewhere = browser.with("sec-fetch-site", "cross-site");
    for path in ["/admin/dead", "/admin/events", "/admin/dashboard", "/admin/dashboard/script.js", "/metrics"] {
        for mode in ["no-cors", "cors", "same-origin", "websocket"] {
            elsewhere.with("sec-fetch-mode", mode).get(path).await.refused(403, "forbidden");
        }
        elsewhere.get(path).await.refused(403, "forbidden");
    }
    for from in [elsewhere.with("sec-fetch-mode", "navigate"), browser.with("sec-fetch-site", "none"), browser.clone()]
    {
        from.get("/admin/dead").await.expect(200);
    }
    for site in ["same-origin", "same-site", "none"] {
        browser.with("sec-fetch-site", site).with("sec-fetch-mode", "cors").get("/admin/dead").await.expect(200);
    }
    // The admin token is no page's to send.
    app.admin()
        .with("sec-fetch-site", "cross-site")
        .with("sec-fetch-mode", "cors")
        .get("/admin/dead")
        .await
        .expect(200);
}

#[tokio::test]
async fn metrics_are_for_holders_of_their_token_and_for_operators() {
    let app = TestApp::spawn().await;
    let nobody = app.nobody();
    let bearer = |token: &str| nobody.with("authorization", format!("Bearer {token}"));
    for reader in [bearer(METRICS), app.admin(), basic(&nobody, "admin", PASSWORD), app.root()] {
        assert_eq!(reader.get("/metrics").await.status, 200);
    }
    for stranger in [nobody.clone(), bearer("wrong"), bearer(""), bearer(ADMIN), nobody.with("authorization", METRICS)]
    {
        stranger.get("/metrics").await.refused(401, "unauthorized");
    }
    app.tenant("alice").await.get("/metrics").await.refused(403, "forbidden");
}
