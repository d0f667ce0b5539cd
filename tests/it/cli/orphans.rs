//! Nothing that a worker has started outlives what it was started for, whatever ends it.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::{Cli, PATIENCE, finish, signal, stop};
use crate::{
    processes::until,
    support::{Client, TestApp, factory::intent_with},
};

/// Leaves its own number, that of a child in its process group, and that of one that has left it for a session of its own, and
/// does not end by itself. None of them minds SIGTERM.
const FAMILY: &str = "trap '' TERM
    sleep 1000 & one=$!
    setsid sh -c 'echo $$ > away; trap \"\" TERM; while :; do sleep 1000; done' &
    until test -s away; do sleep 0.01; done
    echo $$ $one $(cat away) > family.new; mv family.new family
    while :; do sleep 1000; done";

/// A process that is there, and no zombie that somebody has yet to hear of.
fn runs(id: &str) -> bool {
    fs::read_to_string(format!("/proc/{id}/stat"))
        .is_ok_and(|stat| stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X'])))
}

async fn family(cli: &Cli) -> Vec<String> {
    let family: Vec<String> = cli.written("family").await.split(' ').map(ToOwned::to_owned).collect();
    assert_eq!(family.len(), 3, "{family:?}");
    family
}

async fn gone(family: &[String]) {
    until("nothing of the family is left", PATIENCE, async || !family.iter().any(|id| runs(id))).await;
}

/// An intent with more payload than a pipe holds. None of the programs reads it: what hears nothing until somebody does would
/// not hear that it has to end.
async fn publish(root: &Client) -> String {
    root.published(intent_with("g", json!({"max_attempts": 1, "payload": {"unread": "?".repeat(200_000)}}))).await
}

#[tokio::test]
async fn a_run_that_takes_too_long_is_ended_with_all_that_it_has_started() {
    let app = TestApp::spawn().await;
    let (cli, root) = (Cli::of(&app), app.root());
    let id = publish(&root).await;
    let limits = ["--timeout", "1s", "--grace", "50ms"];
    let arguments = [["listen", "g", "--once"].as_slice(), &limits, &["--exec", "sh", "-c", FAMILY]].concat();
    let worker = cli.start(&arguments);
    let family = family(&cli).await;
    finish(worker).await.expect(6);
    // It was waited for, so there is nothing to wait for here.
    assert!(!family.iter().any(|id| runs(id)), "{family:?}");
    let error = root.status(&id).await.expect(200)["last_error"].clone();
    assert_eq!(error, "It did not end within 1 s, and was ended.");
}

#[tokio::test]
async fn what_a_program_said_before_it_was_ended_and_while_it_cleaned_up_is_kept() {
    let app = TestApp::spawn().await;
    let (cli, root) = (Cli::of(&app), app.root());
    let id = publish(&root).await;
    let program = "trap 'echo rolled back >&2; exit 1' TERM; echo stuck at step 4 >&2; while :; do sleep 0.05; done";
    let limits = ["listen", "g", "--once", "--timeout", "1s", "--grace", "30s"];
    cli.run(&[limits.as_slice(), &["--exec", "sh", "-c", program]].concat()).await.expect(6);
    let error = root.status(&id).await.expect(200)["last_error"].clone();
    let error = error.as_str().expect("an error");
    // The shell may add that its `sleep` was ended.
    assert!(error.starts_with("It did not end within 1 s, and was ended. stuck at step 4\n"), "{error}");
    assert!(error.ends_with("rolled back"), "{error}");
}

#[tokio::test]
async fn a_program_that_is_ended_may_clean_up() {
    let app = TestApp::spawn().await;
    let (cli, root) = (Cli::of(&app), app.root());
    publish(&root).await;
    let program = "trap 'echo clean > cleaned; exit 1' TERM; printf 'too much'; while :; do sleep 0.05; done";
    let arguments = ["listen", "g", "--once", "--max-output", "1", "--grace", "30s", "--exec", "sh", "-c", program];
    cli.run(&arguments).await.expect(6);
    assert!(cli.has("cleaned"));
}

#[tokio::test]
async fn a_run_that_prints_without_end_is_ended() {
    let app = TestApp::spawn().await;
    let (cli, root) = (Cli::of(&app), app.root());
    let id = publish(&root).await;
    let program = "echo $$ > pid; exec yes";
    let arguments = ["listen", "g", "--once", "--max-output", "1000", "--exec", "sh", "-c", program];
    cli.run(&arguments).await.expect(6);
    assert!(!runs(&cli.written("pid").await));
    let error = root.status(&id).await.expect(200)["last_error"].clone();
    assert_eq!(error, "It printed more than 1000 bytes, and was ended.");
    // Exactly as much is not too much, and standard error is no output.
    let id = publish(&root).await;
    let program = "yes | head -c 100000 >&2; printf '%01000d' 0";
    let arguments = ["listen", "g", "--once", "--max-output", "1000", "--exec", "sh", "-c", program];
    cli.run(&arguments).await.expect(0);
    assert_eq!(root.result(&id).await.expect(200)["result"], "0".repeat(1000));
}

#[tokio::test]
async fn what_a_program_leaves_running_ends_with_it() {
    let app = TestApp::spawn().await;
    let (cli, root) = (Cli::of(&app), app.root());
    publish(&root).await;
    let program = "setsid sh -c 'echo $$ > away; exec sleep 1000' & sleep 1000 & echo $! > pid; until test -s away; do sleep 0.01; done";
    cli.run(&["listen", "g", "--once", "--exec", "sh", "-c", program]).await.expect(0);
    let (near, away) = (cli.written("pid").await, cli.written("away").await);
    assert!(!runs(&near) && !runs(&away));
}

#[tokio::test]
async fn a_worker_that_is_killed_takes_its_program_along() {
    let app = TestApp::spawn().await;
    let (cli, root) = (Cli::of(&app), app.root());
    let id = publish(&root).await;
    let mut worker = cli.start(&["listen", "g", "--grace", "50ms", "--exec", "sh", "-c", FAMILY]);
    let family = family(&cli).await;
    assert!(family.iter().all(|id| runs(id)), "{family:?}");
    signal(&worker, Signal::KILL);
    worker.wait().await.expect("a child of ours");
    gone(&family).await;
    assert_eq!(root.status(&id).await.expect(200)["status"], "claimed", "its lease has to end first");
}

#[tokio::test]
async fn a_second_signal_ends_the_work_at_once() {
    let app = TestApp::spawn().await;
    let (cli, root) = (Cli::of(&app), app.root());
    let id = publish(&root).await;
    let mut worker = cli.start(&["listen", "g", "--grace", "50ms", "--exec", "sh", "-c", FAMILY]);
    let family = family(&cli).await;
    stop(&mut worker).await;
    signal(&worker, Signal::TERM);
    finish(worker).await.expect(0);
    gone(&family).await;
    assert_eq!(root.status(&id).await.expect(200)["status"], "dead");
}

#[tokio::test]
async fn a_worker_that_is_told_to_stop_waits_for_so_long_at_most_as_it_was_told() {
    let app = TestApp::spawn().await;
    let (cli, root) = (Cli::of(&app), app.root());
    let id = publish(&root).await;
    let limits = ["--stop-timeout", "100ms", "--grace", "50ms"];
    let worker = cli.start(&[["listen", "g"].as_slice(), &limits, &["--exec", "sh", "-c", FAMILY]].concat());
    let family = family(&cli).await;
    signal(&worker, Signal::TERM);
    finish(worker).await.expect(0);
    assert!(!family.iter().any(|id| runs(id)), "{family:?}");
    assert_eq!(root.status(&id).await.expect(200)["status"], "dead");
}

#[tokio::test]
async fn an_attempt_has_failed_when_its_program_is_gone_and_not_before() {
    let app = TestApp::spawn().await;
    let (cli, root) = (Cli::of(&app), app.root());
    let id = publish(&root).await;
    let clean_up =
        "echo cleaning; echo >&2; echo dying > dying; until test -e go; do sleep 0.02; done; echo clean > cleaned";
    let program = format!("trap '{clean_up}; exit 1' TERM; echo began > began; while :; do sleep 0.02; done");
    let mut worker = cli.start(&["listen", "g", "--grace", "30s", "--exec", "sh", "-c", &program]);
    cli.written("began").await;
    stop(&mut worker).await;
    signal(&worker, Signal::TERM);
    cli.written("dying").await;
    assert_eq!(root.status(&id).await.expect(200)["status"], "claimed");
    cli.put("go", "");
    finish(worker).await.expect(0);
    assert!(cli.has("cleaned"), "what it says meanwhile does not end it");
    let error = root.status(&id).await.expect(200)["last_error"].clone();
    assert_eq!(error, "The worker was told to stop, and has ended it.");
}

#[tokio::test]
async fn a_program_whose_lease_is_lost_is_gone_before_the_next_one_starts() {
    let app = TestApp::with(&[("BUS_CLAIM_TIMEOUT_SECONDS", "1")]).await;
    let (cli, root) = (Cli::of(&app), app.root());
    let lost = root.published(intent_with("g", json!({"priority": 900}))).await;
    // The first takes its time to end. The second says whether it is still there.
    let program = "if test -e first; then kill -0 $(cat first) 2>&1 && echo beside; exit 0; fi
        trap 'sleep 1; exit 1' TERM; echo $$ > first; while :; do sleep 0.02; done";
    let worker = cli.start(&["listen", "g", "--grace", "30s", "--exec", "sh", "-c", program]);
    let first = cli.written("first").await;
    app.db.end_lease_and_backoff(&lost).await;
    let claim = root.claimed("g").await;
    root.fulfill(&claim, json!({})).await.expect(200);
    let next = root.published(intent_with("g", json!({}))).await;
    let result = cli.run(&["result", &next, "--wait=60s"]).await;
    assert!(!runs(&first));
    assert!(result.expect(0).contains("No such process"), "{}", result.out);
    signal(&worker, Signal::TERM);
    let ran = finish(worker).await;
    ran.expect(0);
    assert!(ran.complaint.contains(&format!("{lost} g lost in ")), "{}", ran.complaint);
}

#[tokio::test]
async fn a_guard_that_is_killed_takes_the_program_along_and_the_attempt_has_failed() {
    let app = TestApp::spawn().await;
    let (cli, root) = (Cli::of(&app), app.root());
    let id = publish(&root).await;
    let worker = cli.start(&["listen", "g", "--once", "--exec", "sh", "-c", "echo $$ $PPID > pids; exec sleep 1000"]);
    let pids = cli.written("pids").await;
    let (program, guard) = pids.split_once(' ').expect("two numbers");
    let pid = guard.parse().ok().and_then(Pid::from_raw).expect("a number");
    kill_process(pid, Signal::KILL).expect("it runs");
    finish(worker).await.expect(6);
    gone(&[program.to_owned()]).await;
    assert_eq!(root.status(&id).await.expect(200)["last_error"], "signal: 9 (SIGKILL)");
}
