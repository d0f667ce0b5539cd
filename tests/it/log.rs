//! What a replica writes: a line for each request to those who ask for it, a line for each change of an intent's state, and no
//! line over and over.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

use serde_json::{Value, json};

use crate::{
    dashboard::{send, token},
    support::{TestDb, factory::intent, process::Replica},
};

fn requests(log: &[Value]) -> Vec<&Value> {
    log.iter().filter(|line| line["target"] == "intent_bus::requests").collect()
}

#[tokio::test]
async fn every_request_has_its_line_where_that_is_asked_for() {
    let db = TestDb::create().await;
    let mut replica = Replica::start(&db, &[("BUS_LOG", "info,intent_bus::requests=debug")]);
    let made = replica.admin().generate_key("alice").await.expect(201);
    let alice = replica.nobody().key(made["api_key"].as_str().unwrap());
    let parent = "00-11111111111111111111111111111111-1111111111111111-01";
    alice.with("x-request-id", "one").with("traceparent", parent).published(intent("greet")).await;
    replica.root().claim("none").await.empty();
    for _ in 0..20 {
        replica.nobody().claim("none").await.refused(401, "unauthorized");
    }
    replica.terminate();
    assert!(replica.wait().success());
    let log = replica.logs();
    let lines = requests(&log);
    assert_eq!(lines.len(), 23, "{lines:#?}");
    assert_eq!(lines[0]["caller"], "operator");
    let line = lines.iter().find(|line| line["request_id"] == "one").unwrap();
    assert_eq!(line["level"], "DEBUG");
    assert_eq!(line["method"], "POST");
    assert_eq!(line["route"], "/intent");
    assert_eq!(line["status"], 201);
    assert_eq!(line["trace_id"], "11111111111111111111111111111111");
    assert!(line["seconds"].as_f64().unwrap() > 0.0);
    assert!(line["caller"].as_str().unwrap().starts_with("key "), "{line}");
    assert!(line.get("error").is_none(), "{line}");
    assert_eq!(lines.iter().find(|line| line["status"] == 204).unwrap()["caller"], "root");
}

#[tokio::test]
async fn who_asks_for_no_more_is_told_of_refusals_and_faults_and_of_those_that_repeat_ten_times() {
    let db = TestDb::create().await;
    let mut replica = Replica::start(&db, &[]);
    replica.root().published(intent("greet")).await;
    replica.root().status("x").await.refused(404, "not_found");
    db.batch("ALTER TABLE key_values RENAME TO gone").await;
    for _ in 0..15 {
        replica.root().value("k").await.refused(500, "internal_error");
    }
    for _ in 0..12 {
        replica.nobody().key("unknown-key").claim("x").await.refused(401, "unauthorized");
    }
    replica.terminate();
    assert!(replica.wait().success());
    let log = replica.logs();
    let of = |level: &str| requests(&log).into_iter().filter(|line| line["level"] == level).collect::<Vec<_>>();
    assert_eq!(of("DEBUG").len(), 0);
    let (errors, refused) = (of("ERROR"), of("INFO"));
    assert_eq!((errors.len(), refused.len()), (10, 10), "{log:#?}");
    assert_eq!((&errors[0]["error"], &errors[0]["status"]), (&json!("internal_error"), &json!(500)));
    assert!(errors[0]["cause"].as_str().unwrap().contains("key_values"), "{}", errors[0]);
    assert_eq!(refused[0]["error"], "unauthorized");
    assert!(refused[0].get("caller").is_none());
    let mut suppressed: Vec<u64> = log.iter().filter_map(|line| line["suppressed"].as_u64()).collect();
    suppressed.sort_unstable();
    assert_eq!(suppressed, [2, 5], "{log:#?}");
}

#[tokio::test]
async fn each_change_of_an_intents_state_has_its_line() {
    let db = TestDb::create().await;
    let mut replica = Replica::start(&db, &[("BUS_LOG", "info,intent_bus::intents=debug")]);
    let worker = replica.root().with("x-worker-id", "pi");
    let mut body = intent("greet");
    body["max_attempts"] = json!(2);
    body["backoff_base"] = json!(1);
    let id = worker.published(body).await;
    let claim = worker.claimed("greet").await;
    worker.extend(&claim, 30).await.expect(200);
    worker.fail(&claim, "no paper").await.expect(200);
    db.make_due(&id).await;
    let claim = worker.claimed("greet").await;
    worker.fail(&claim, "no paper").await.expect(200);
    replica.admin().retry(&id).await.expect(200);
    let claim = worker.claimed("greet").await;
    worker.fulfill(&claim, json!("hello")).await.expect(200);
    replica.admin().cancel(&id).await.expect(200);
    let redriven =
        replica.admin().post("/admin/dead/redrive", json!({"goal": "greet", "dry_run": false})).await.expect(200);
    assert_eq!(redriven["count"], 1);
    // What is done on the dashboard is told as well.
    let operator = replica.admin().with("accept", "text/html");
    for act in ["cancel", "retry"] {
        let given = token(&operator.get("/admin/dashboard/purge").await);
        let done = send(&operator, &format!("/admin/dashboard/intents/{id}/{act}"), &[("token", &given)]).await;
        assert_eq!(done.status, 200, "{}", done.text());
    }
    replica.terminate();
    assert!(replica.wait().success());
    let log = replica.logs();
    let lines: Vec<&Value> = log.iter().filter(|line| line["target"] == "intent_bus::intents").collect();
    let told: Vec<&str> = lines.iter().filter_map(|line| line["message"].as_str()).collect();
    let expected = [
        "published",
        "claimed",
        "extended",
        "failed",
        "requeued",
        "claimed",
        "failed",
        "buried",
        "retried",
        "claimed",
        "fulfilled",
        "cancelled",
        "redriven",
        "buried",
        "cancelled",
        "retried",
    ];
    assert_eq!(told, expected);
    assert!(lines.iter().all(|line| line["id"] == id && line["level"] == "DEBUG"), "{lines:#?}");
    for line in &lines {
        assert_eq!((&line["namespace"], &line["goal"]), (&json!("default"), &json!("greet")), "{line}");
    }
    for line in &lines[1..8] {
        assert_eq!(
            (&line["worker"], line["attempt"].as_i64()),
            (&json!("pi"), Some(1 + i64::from(told_second(line, &lines))))
        );
    }
}

/// Whether a line tells of the second attempt.
fn told_second(line: &Value, lines: &[&Value]) -> bool {
    lines.iter().position(|other| std::ptr::eq(*other, line)).is_some_and(|position| position >= 5)
}

#[tokio::test]
async fn lines_for_people_have_no_colour_codes_where_no_terminal_reads_them() {
    let db = TestDb::create().await;
    let mut command = Replica::command(&db, &[("BUS_LOG_FORMAT", "pretty")]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("the binary starts");
    let lines = BufReader::new(child.stdout.take().expect("its output")).lines().map_while(Result::ok);
    let line = lines.into_iter().find(|line| line.contains("listening"));
    child.kill().and_then(|()| child.wait()).expect("our child");
    let line = line.expect("a line that says so");
    assert!(line.contains("INFO") && !line.contains('\u{1b}'), "{line:?}");
}
