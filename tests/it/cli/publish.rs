//! `publish`, `status` and `result`.

use std::process::Stdio;

use serde_json::json;
use tokio::io::AsyncWriteExt;

use super::{Cli, finish};
use crate::support::{TestApp, factory::intent_with};

#[tokio::test]
async fn a_payload_arrives_byte_for_byte_from_the_argument_a_file_and_standard_input() {
    let app = TestApp::spawn().await;
    let cli = Cli::of(&app);
    let payload = r#"{ "n": 1e400, "s":"\ud800 $(reboot) 'x' \"y\"" ,"deep":[[ ]] }"#;
    cli.put("payload.json", payload);
    let id = cli.run(&["publish", "g", payload]).await.expect(0).to_owned();
    assert_eq!(id.len(), 32);
    cli.run(&["publish", "g", "@payload.json"]).await.expect(0);
    let mut child = cli.command(&["publish", "g", "-"]).stdin(Stdio::piped()).spawn().expect("the binary starts");
    child.stdin.take().expect("its input").write_all(payload.as_bytes()).await.expect("it reads");
    finish(child).await.expect(0);
    for _ in 0..3 {
        let claimed = app.root().claim("g").await;
        assert!(claimed.text().contains(&format!(r#""payload":{payload},"#)), "{}", claimed.text());
    }
    cli.run(&["publish", "g"]).await.expect(0);
    assert_eq!(app.root().claimed("g").await.body["payload"], json!({}));
}

#[tokio::test]
async fn what_is_no_json_is_pointed_at_and_nothing_is_sent() {
    let app = TestApp::spawn().await;
    let cli = Cli::of(&app);
    let ran = cli.run(&["publish", "g", r#"{"a": 1, 'b': 2}"#]).await;
    ran.expect(2);
    assert!(ran.complaint.contains("key must be a string at line 1 column 10"), "{}", ran.complaint);
    assert!(ran.complaint.contains("\n  {\"a\": 1, 'b': 2}\n           ^"), "{}", ran.complaint);
    cli.put("broken.json", "[1,\n2");
    let ran = cli.run(&["publish", "g", "@broken.json"]).await;
    ran.expect(2);
    assert!(ran.complaint.contains("broken.json is no JSON: EOF while parsing a list at line 2"), "{}", ran.complaint);
    cli.run(&["publish", "g", "@nowhere.json"]).await.expect(2);
    cli.run(&["publish", "g", "{}", "--priority", "1001"]).await.expect(2);
    let ran = cli.run(&["publish", "g", "{}", "--priority", "-5"]).await;
    ran.expect(2);
    assert!(ran.complaint.contains("-5 is not in 0..=1000"), "{}", ran.complaint);
    assert!(!cli.run(&["publish"]).await.complaint.contains("--url"), "which need not be given");
    for (bytes, words) in
        [(b"".as_slice(), "is empty"), (b"\xef\xbb\xbf{}", "byte order mark"), (b"\xff\xfe{\0}\0", "is UTF-16")]
    {
        std::fs::write(cli.folder().join("payload.json"), bytes).expect("a file");
        let ran = cli.run(&["publish", "g", "@payload.json"]).await;
        ran.expect(2);
        assert!(
            ran.complaint.contains(&format!("payload.json {words}")) || ran.complaint.contains(words),
            "{}",
            ran.complaint
        );
    }
    assert_eq!(app.db.count("intents").await, 0);
}

#[tokio::test]
async fn every_option_of_a_publication_reaches_the_bus() {
    let app = TestApp::spawn().await;
    let cli = Cli::of(&app);
    let options = ["--namespace", "images", "--priority", "7", "--delay", "1h", "--public", "--target", "pi-3"];
    let more = ["--capability", "gpu", "--max-attempts", "2", "--idempotency-key", "once", "--json"];
    let arguments = [["publish", "resize", "[1]"].as_slice(), &options, &more].concat();
    let first = cli.run(&arguments).await.json(0);
    assert_eq!(first["namespace"], "images");
    assert_eq!(cli.run(&arguments).await.json(0), first, "the key stands for the first");
    let id = first["id"].as_str().expect("an id");
    let told = cli.run(&["status", id, "--json"]).await.json(0);
    let expected = json!({"id": id, "goal": "resize", "namespace": "images", "status": "open", "priority": 7,
        "visibility": "public", "target_worker": "pi-3", "required_capability": "gpu", "claim_attempts": 0});
    for (name, value) in expected.as_object().expect("an object") {
        assert_eq!(&told[name], value, "{name}: {told}");
    }
    let detail = app.admin().get(&format!("/admin/intents/{id}")).await.expect(200);
    assert_eq!((&detail["max_attempts"], &detail["payload"]["text"]), (&json!(2), &json!("[1]")));
    let wait = detail["run_at"].as_f64().expect("a time") - detail["created_at"].as_f64().expect("a time");
    assert!((3599.0..3601.0).contains(&wait), "{detail}");
    let shown = cli.run(&["status", id]).await;
    assert!(shown.expect(0).contains("open\ngoal         resize\n"), "{}", shown.out);
    let other = ["publish", "resize", "[2]", "--idempotency-key", "once"];
    cli.run(&other).await.expect(9);
}

#[tokio::test]
async fn whoever_waits_gets_the_result_or_how_it_ended() {
    let app = TestApp::spawn().await;
    let (cli, root) = (Cli::of(&app), app.root());
    let waiting = cli.start(&["publish", "greet", r#"{"name": "Ada"}"#, "--wait=30s"]);
    let claim = root.claim_waiting("greet", 30).await.claim();
    root.finish("fulfill", &claim, json!({"result": "hello, Ada", "result_type": "text"})).await.expect(200);
    assert_eq!(finish(waiting).await.expect(0), "hello, Ada");
    let told = cli.run(&["result", &claim.id, "--json"]).await.json(0);
    assert_eq!((&told["result"], &told["result_type"]), (&json!("hello, Ada"), &json!("text")));

    let id = root.published(intent_with("g", json!({"max_attempts": 1}))).await;
    let open = cli.run(&["result", &id]).await;
    open.expect(7);
    assert!(open.complaint.contains("it is open"), "{}", open.complaint);
    cli.run(&["result", &id, "--wait=10ms"]).await.expect(7);
    let claim = root.claimed("g").await;
    root.fail(&claim, "no such \u{1b}[2J file").await.expect(200);
    let dead = cli.run(&["result", &id, "--wait"]).await;
    dead.expect(6);
    assert!(dead.complaint.contains("The intent is dead: no such \u{fffd}[2J file"), "{}", dead.complaint);
    let told = cli.run(&["result", &id, "--json"]).await;
    let whole = told.json(6);
    assert_eq!((&whole["status"], &whole["error"]), (&json!("dead"), &json!("no such \u{1b}[2J file")));
    assert_eq!(told.error()["code"], "dead");
}

#[tokio::test]
async fn what_was_said_on_several_lines_is_shown_on_several_lines() {
    let app = TestApp::spawn().await;
    let (cli, root) = (Cli::of(&app), app.root());
    let id = root.published(intent_with("g", json!({"max_attempts": 1}))).await;
    let claim = root.claimed("g").await;
    root.fail(&claim, "Traceback:\n  line 7\r\nKeyError").await.expect(200);
    let shown = cli.run(&["status", &id]).await;
    assert!(
        shown.expect(0).ends_with("error        Traceback:\n               line 7\n             KeyError"),
        "{}",
        shown.out
    );
    let dead = cli.run(&["result", &id]).await;
    dead.expect(6);
    assert!(dead.complaint.ends_with("dead: Traceback:\n  line 7\nKeyError\n"), "{}", dead.complaint);
}

#[tokio::test]
async fn a_result_is_printed_byte_for_byte() {
    let app = TestApp::spawn().await;
    let (cli, root) = (Cli::of(&app), app.root());
    let id = root.published(intent_with("g", json!({}))).await;
    let claim = root.claimed("g").await;
    let result = r#"{ "n": 1e400, "s":"\ud800" }"#;
    let body = format!(r#"{{"claim_token":"{}","result":{result}}}"#, claim.token);
    root.post(&format!("/fulfill/{id}"), body).await.expect(200);
    assert_eq!(cli.run(&["result", &id]).await.expect(0), result);
    let ran = cli.run(&["result", &id, "--json"]).await;
    assert!(ran.expect(0).contains(&format!(r#""result":{result}"#)), "{}", ran.out);
}

#[tokio::test]
async fn the_status_of_the_command_says_what_is_wrong() {
    let app = TestApp::with(&[("BUS_RATE_LIMIT_PER_MINUTE", "1")]).await;
    let cli = Cli::of(&app);
    let nobody = "0".repeat(32);
    cli.run(&["status", &nobody]).await.expect(5);
    let error = Cli::with_key(&app, "tk_nobody").run(&["status", &nobody, "--json"]).await;
    error.expect(4);
    assert_eq!(error.error()["code"], "unauthorized");
    let error = cli.run(&["get", "nothing", "--json"]).await;
    error.expect(5);
    assert_eq!(error.error()["code"], "not_found");
    let error = cli.run(&["publish", "", "--json"]).await;
    error.expect(2);
    assert_eq!(error.error()["code"], "invalid_goal");
    for wrong in [
        ["publish", "g", "--json", "--prioritty=5"].as_slice(),
        &["publish", "g", "{", "--json"],
        &["status", "--json"],
    ] {
        let error = cli.run(wrong).await;
        error.expect(2);
        assert_eq!(error.error()["code"], "usage");
    }
    assert!(error.error()["request_id"].is_string(), "{}", error.complaint);
    let nowhere = Cli::at("http://127.0.0.1:1".to_owned(), "tk_nobody");
    let lost = nowhere.command(&["doctor"]).spawn().expect("the binary starts");
    finish(lost).await.expect(3);
    cli.run(&["status"]).await.expect(2);
    let no_key = cli.command(&["status", &nobody]).env_remove("INTENT_API_KEY").spawn().expect("the binary starts");
    finish(no_key).await.expect(2);
    let no_bus = cli.command(&["status", &nobody]).env_remove("INTENT_BUS_URL").spawn().expect("the binary starts");
    assert!(finish(no_bus).await.complaint.contains("--url URL or INTENT_BUS_URL"));
    for url in ["", " ", "bus.example", "localhost:5000"] {
        let ran = Cli::at(url.to_owned(), "tk_nobody").run(&["status", &nobody]).await;
        ran.expect(2);
        assert!(ran.complaint.contains("--url") && ran.complaint.contains("INTENT_BUS_URL"), "{}", ran.complaint);
    }
    let tenant = app.limited_tenant("hasty").await;
    let hasty = Cli::with_key(&app, tenant.api_key());
    hasty.run(&["publish", "g"]).await.expect(0);
    let refused = hasty.run(&["publish", "g"]).await;
    refused.expect(8);
    assert!(refused.complaint.contains("Try again in ") && refused.complaint.contains(" s."), "{}", refused.complaint);
    let refused = hasty.run(&["publish", "g", "--json"]).await;
    assert!(refused.error()["retry_after"].as_f64().is_some_and(|seconds| seconds >= 1.0), "{}", refused.complaint);
}
