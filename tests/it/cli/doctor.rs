//! `doctor`: it finds what is wrong, and names it.

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::{Cli, Ran};
use crate::support::{TestApp, app::ROOT, client::unix_now};

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

/// Something that answers every request like this: status line, headers and body.
async fn answering(answer: impl Fn(&str) -> String + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = vec![0; 8192];
            let read = stream.read(&mut head).await.unwrap_or(0);
            let answer = answer(&String::from_utf8_lossy(&head[..read]));
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    url
}

fn http(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\nx-intent-version: 2.1\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

#[tokio::test]
async fn where_all_is_well_it_says_so() {
    let app = TestApp::with(&[("BUS_REQUIRE_SIGNATURES", "true")]).await;
    let cli = Cli::of(&app);
    let told = cli.run(&["doctor", "--json"]).await.json(0);
    assert_eq!(told["ok"], true);
    for name in ["connection", "encryption", "version", "latency", "clock", "key"] {
        assert_eq!(finding(&told, name)["state"], "good", "{told}");
    }
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
