//! `doctor`: it finds what is wrong, and names it.

use serde_json::Value;
use tokio::net::TcpListener;

use super::{Cli, Ran, answering, http};
use crate::support::{
    TestApp,
    app::{ADMIN, ROOT},
    client::unix_now,
};

#[track_caller]
fn finding<'a>(told: &'a Value, name: &str) -> &'a Value {
    let findings = told["findings"].as_array().expect("a list");
    findings.iter().find(|finding| finding["name"] == name).unwrap_or_else(|| panic!("no {name} in {told}"))
}

/// It must have found this bad, and say these words.
#[track_caller]
fn bad(ran: &Ran, status: i32, name: &str, words: &str) {
    let told = ran.json(status);
    let found = finding(&told, name);
    assert_eq!((&told["ok"], &found["state"]), (&Value::Bool(false), &Value::from("bad")), "{told}");
    assert!(found["message"].as_str().is_some_and(|message| message.contains(words)), "{words}: {found}");
    assert!(found["advice"].is_string(), "{found}");
}

#[tokio::test]
async fn where_all_is_well_it_says_so() {
    let app = TestApp::with(&[("BUS_REQUIRE_SIGNATURES", "true")]).await;
    let cli = Cli::of(&app);
    let told = cli.run(&["doctor", "--json"]).await.json(0);
    assert_eq!(told["ok"], true);
    for name in ["connection", "encryption", "version", "latency", "clock", "key", "scopes"] {
        assert_eq!(finding(&told, name)["state"], "good", "{told}");
    }
    assert_eq!(finding(&told, "scopes")["message"], "publish, work, read, values: everything");
    let shown = cli.run(&["doctor"]).await;
    assert!(shown.expect(0).contains("good  key"), "{}", shown.out);
}

#[tokio::test]
async fn a_wrong_or_missing_key_is_found() {
    let app = TestApp::spawn().await;
    bad(&Cli::with_key(&app, "tk_nobody").run(&["doctor", "--json"]).await, 4, "key", "INTENT_API_KEY is refused");
    let cli = Cli::of(&app);
    let ran = cli.command(&["doctor", "--json"]).env_remove("INTENT_API_KEY").spawn().expect("the binary starts");
    bad(&super::finish(ran).await, 4, "key", "There is no API key");
    cli.put("key", ROOT);
    let key = ["doctor", "--json", "--key-file", "key"];
    assert_eq!(cli.run(&key).await.json(0)["ok"], true);
}

#[tokio::test]
async fn what_a_key_may_be_used_for_is_told_and_nothing_is_done_to_find_out() {
    let app = TestApp::spawn().await;
    for (scopes, told) in
        [("publish,read", "publish, read; not work, values"), ("values", "values; not publish, work, read")]
    {
        let operator = Cli::of(&app);
        let mut create = operator.command(&["keys", "create", scopes, "--scopes", scopes]);
        let key = super::finish(create.env("INTENT_ADMIN_TOKEN", ADMIN).spawn().expect("the binary starts")).await;
        let found = Cli::with_key(&app, key.expect(0)).run(&["doctor", "--json"]).await.json(0);
        assert_eq!(finding(&found, "key")["state"], "good", "{found}");
        assert_eq!(finding(&found, "scopes")["message"], told, "{found}");
    }
    assert_eq!(app.db.count("intents").await, 0);
}

#[tokio::test]
async fn a_token_of_operators_is_looked_at_if_there_is_one() {
    let app = TestApp::spawn().await;
    let cli = Cli::of(&app);
    assert!(!cli.run(&["doctor"]).await.expect(0).contains("operators"));
    let mut doctor = cli.command(&["doctor", "--json"]);
    let told = super::finish(doctor.env("INTENT_ADMIN_TOKEN", ADMIN).spawn().expect("the binary starts")).await.json(0);
    assert_eq!(finding(&told, "operators")["state"], "good", "{told}");
    cli.put("token", "not this one");
    let wrong = cli.run(&["doctor", "--json", "--admin-token-file", "token"]).await;
    bad(&wrong, 4, "operators", "token of token is refused: it is not the BUS_ADMIN_SECRET");
}

#[tokio::test]
async fn a_wrong_address_is_found() {
    let app = TestApp::spawn().await;
    let at = |url: &str| Cli::at(url.to_owned(), ROOT);
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address");
    bad(&at(&format!("http://{free}")).run(&["doctor", "--json"]).await, 3, "connection", "nothing listens there");
    let tls = at(&format!("https://{}", app.address));
    bad(&tls.run(&["doctor", "--json"]).await, 3, "connection", "the two do not speak the same");
    let name = at("http://no-such-host.invalid");
    bad(&name.run(&["doctor", "--json"]).await, 3, "connection", "its name cannot be looked up");
    let website = at(&answering(|_| http("200 OK", "<html>hello</html>")).await);
    bad(&website.run(&["doctor", "--json"]).await, 1, "connection", "is no bus");
    let proxy = at(&answering(|_| http("502 Bad Gateway", "nginx")).await);
    bad(&proxy.run(&["doctor", "--json"]).await, 3, "connection", "not well");
    at("http://127.0.0.1/bus").run(&["doctor"]).await.expect(2);
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_found_and_named_as_the_cause() {
    let stale = r#"{"error":{"code":"invalid_signature","message":"Stale timestamp. Check the clock."}}"#;
    let url = answering(move |head| {
        if head.starts_with("GET /health") {
            http("200 OK", &format!(r#"{{"ok":true,"ts":{},"version":"0.1.0"}}"#, unix_now() - 4000))
        } else {
            http("403 Forbidden", stale)
        }
    })
    .await;
    let ran = Cli::at(url, ROOT).run(&["doctor", "--json"]).await;
    bad(&ran, 4, "clock", "s ahead of the bus");
    bad(&ran, 4, "signature", "Stale timestamp");
    assert!(finding(&ran.json(4), "signature")["advice"].as_str().is_some_and(|advice| advice.contains("clock")));
}

#[tokio::test]
async fn a_signature_that_is_broken_on_the_way_is_found() {
    let refusal = r#"{"error":{"code":"invalid_signature","message":"Bad signature."}}"#;
    let url = answering(move |head| {
        if head.starts_with("GET /health") {
            http("200 OK", &format!(r#"{{"ok":true,"ts":{},"version":"0.1.0"}}"#, unix_now()))
        } else {
            http("403 Forbidden", refusal)
        }
    })
    .await;
    bad(&Cli::at(url, ROOT).run(&["doctor", "--json"]).await, 4, "signature", "Bad signature");
}
