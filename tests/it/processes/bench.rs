//! `intent-bus bench` against a bus: it does what it was asked to, says so, and leaves nothing undone.

use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;

use crate::support::{TestApp, app::ROOT};

/// Runs it on this bus with the root key, and gives what it has printed.
async fn bench(app: &TestApp, arguments: &[&str]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_intent-bus"));
    command.arg("bench").args(["--url", &format!("http://{}", app.address), "--json"]).args(arguments);
    command.env("INTENT_API_KEY", ROOT).stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.expect("the binary starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("one JSON value and nothing else")
}

/// All that it has to say about this many intents, each published, claimed and fulfilled once.
#[track_caller]
fn all_went_well(report: &Value, intents: u64) {
    assert_eq!(report["cycles"], intents, "{report:#}");
    for operation in ["publish", "claim", "fulfill"] {
        let said = &report["operations"][operation];
        assert_eq!((&said["errors"], &said["intents"]), (&0.into(), &intents.into()), "{operation}: {report:#}");
    }
    assert!(report["cycles_per_second"].as_f64().is_some_and(|rate| rate > 0.0), "{report:#}");
    assert!(report["generator_cpu_us_per_cycle"].as_f64().is_some_and(|cost| cost > 0.0), "{report:#}");
}

async fn left(app: &TestApp, goal: &str) -> u16 {
    app.root().claim(goal).await.status
}

#[tokio::test]
async fn a_signed_run_of_200_intents_is_200_cycles_and_no_error() {
    let app = TestApp::with(&[("BUS_REQUIRE_SIGNATURES", "true")]).await;
    let report = bench(&app, &["--intents", "200", "--warmup", "0.2", "--publishers", "4", "--workers", "4"]).await;
    all_went_well(&report, 200);
    assert_eq!((&report["signed"], &report["publishers"]), (&true.into(), &4.into()));
}

#[tokio::test]
async fn a_run_leaves_the_backlog_that_it_was_told_to_make() {
    let app = TestApp::spawn().await;
    let arguments = ["--intents", "50", "--warmup", "0", "--no-sign", "--backlog", "3", "--goal", "g"];
    all_went_well(&bench(&app, &arguments).await, 50);
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(left(&app, "g").await);
    }
    assert_eq!(statuses, [200, 200, 200, 204]);
}

#[tokio::test]
async fn the_way_to_a_waiting_worker_is_measured_once_for_each_intent() {
    let app = TestApp::spawn().await;
    let report = bench(&app, &["--latency", "5"]).await;
    all_went_well(&report, 5);
    assert_eq!(report["latency"]["count"], 5);
    assert!(report["latency"]["from_sent"]["p50_ms"].as_f64().is_some_and(|ms| ms > 0.0), "{report:#}");
}

#[tokio::test]
async fn idle_polls_get_the_one_intent_in_the_end() {
    let app = TestApp::spawn().await;
    let report = bench(&app, &["--idle-polls", "20", "--seconds", "0.5"]).await;
    all_went_well(&report, 1);
    assert_eq!(report["idle_polls"]["polls"], 20);
}

#[tokio::test]
async fn a_wrong_key_ends_it_with_what_the_bus_said() {
    let app = TestApp::spawn().await;
    let mut command = Command::new(env!("CARGO_BIN_EXE_intent-bus"));
    command.args(["bench", "--url", &format!("http://{}", app.address), "--key", "tk_wrong"]).kill_on_drop(true);
    let output = command.output().await.expect("the binary starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("401"), "{said}");
}
