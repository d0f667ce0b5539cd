//! `intent-bus dev`: a newcomer's first minute, and what is left after it.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{tell, until};
use crate::support::{Client, factory::intent};

/// For anything that a test waits for.
const PATIENCE: Duration = Duration::from_secs(30);
/// The last part of what `dev` prints starts with this.
const LAST_LINE: &str = "API:";

/// A folder for everything that `dev` makes, open to the account that runs Postgres.
fn scratch() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("our folder");
    folder
}

/// `intent-bus dev` in a process of its own. Killed when this value goes.
struct Dev {
    child: Child,
    /// What it has printed until it was ready.
    greeting: Vec<String>,
    ready: Duration,
    lines: Receiver<String>,
}

impl Dev {
    fn start(scratch: &Path, arguments: &[&str]) -> Self {
        let began = Instant::now();
        let mut command = Command::new(env!("CARGO_BIN_EXE_intent-bus"));
        command.args(["dev", "--yes", "--listen", "127.0.0.1:0"]).args(arguments);
        command.env("TMPDIR", scratch).stdin(Stdio::null()).stdout(Stdio::piped());
        for (name, _) in std::env::vars() {
            // Settings of the bus that happen to stand in the environment of the tests.
            if name == "DATABASE_URL" || (name.starts_with("BUS_") && name != "BUS_PG_BIN") {
                command.env_remove(name);
            }
        }
        let mut child = command.spawn().expect("the binary starts");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        let (sender, lines) = channel();
        thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let mut dev = Self { child, greeting: Vec::new(), ready: Duration::ZERO, lines };
        while !dev.greeting.last().is_some_and(|line| line.starts_with(LAST_LINE)) {
            let line = dev.lines.recv_timeout(PATIENCE);
            dev.greeting.push(line.unwrap_or_else(|error| panic!("{error}; it has said {:#?}", dev.greeting)));
        }
        dev.ready = began.elapsed();
        dev
    }

    /// The lines to paste, as they are printed.
    fn lines_to_paste(&self) -> String {
        self.greeting.iter().filter(|line| line.starts_with("  ")).map(|line| format!("{line}\n")).collect()
    }

    /// A value that the lines export.
    fn exported(&self, name: &str) -> &str {
        let after = |line: &'_ str| line.find(&format!("{name}=")).map(|at| at + name.len() + 1);
        let found = self.greeting.iter().find_map(|line| Some(&line[after(line)?..]));
        found
            .and_then(|rest| rest.split_whitespace().next())
            .unwrap_or_else(|| panic!("no {name} in {:#?}", self.greeting))
    }

    fn client(&self) -> Client {
        let http = crate::support::http().build().expect("an HTTP client");
        Client::new(http, self.exported("BUS").to_owned()).key(self.exported("INTENT_API_KEY"))
    }

    /// Its guard, Postgres and all that they have started.
    fn family(&self) -> Vec<u32> {
        let mut family = vec![self.child.id()];
        let mut next = 0;
        while let Some(parent) = family.get(next) {
            let found = children(*parent);
            family.extend(found);
            next += 1;
        }
        family.split_off(1)
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().cast_signed()).expect("a process id");
        kill_process(pid, signal).expect("the process is there");
    }

    /// Waits until it has ended.
    fn wait(&mut self) -> std::process::ExitStatus {
        // Its output ends with it.
        let deadline = Instant::now() + PATIENCE;
        while let Ok(line) = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            self.greeting.push(line);
        }
        assert!(Instant::now() < deadline, "still there after {PATIENCE:?}");
        self.child.wait().expect("a child of ours")
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Ids of processes and of their parents.
fn parents() -> Vec<(u32, u32)> {
    let ids = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter_map(|id: u32| {
        let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
        Some((id, parent.trim().parse().ok()?))
    })
    .collect()
}

fn children(parent: u32) -> Vec<u32> {
    parents().into_iter().filter(|(_, of)| *of == parent).map(|(id, _)| id).collect()
}

/// A process that runs. One that has ended and that nobody has asked for yet has no program any more.
fn runs(id: u32) -> bool {
    fs::read_link(format!("/proc/{id}/exe")).is_ok()
}

fn names_in(folder: &Path) -> Vec<String> {
    fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect()
}

/// Waits until all of these processes are gone, and everything in the folder but what is meant to stay.
async fn gone(family: &[u32], scratch: &Path, stays: &[&str]) {
    until("guard and Postgres are gone", PATIENCE, async || !family.iter().any(|id| runs(*id))).await;
    let left = || -> Vec<_> { names_in(scratch).into_iter().filter(|name| !stays.contains(&name.as_str())).collect() };
    until("socket and temporary folder are gone", PATIENCE, async || left().is_empty()).await;
}

#[tokio::test]
async fn the_printed_lines_take_an_intent_from_publish_to_its_result() {
    let scratch = scratch();
    let mut dev = Dev::start(scratch.path(), &["--ephemeral"]);
    tell(&format!("dev --ephemeral is ready {} ms after it was started", dev.ready.as_millis()));
    assert!(dev.ready < PATIENCE, "{:?}", dev.ready);

    let mut bash = Command::new("bash");
    bash.args(["-eu", "-o", "pipefail"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut bash = bash.spawn().expect("bash");
    bash.stdin.take().expect("its input").write_all(dev.lines_to_paste().as_bytes()).expect("it reads");
    let output = bash.wait_with_output().expect("its output");
    assert!(output.status.success(), "{:#?}", dev.greeting);
    let answers = serde_json::Deserializer::from_slice(&output.stdout).into_iter::<Value>();
    let answers: Vec<Value> = answers.map(|answer| answer.expect("JSON and nothing else")).collect();
    let [published, claimed, fulfilled, result] = answers.as_slice() else { panic!("{answers:#?}") };
    assert_eq!(published["status"], "published");
    assert_eq!((&claimed["id"], &claimed["payload"]), (&published["id"], &json!({"name": "world"})));
    assert_eq!(fulfilled, &json!({"ok": true, "id": published["id"]}));
    assert_eq!((&result["status"], &result["result"]), (&json!("fulfilled"), &json!("hello, world")));

    let dashboard = dev.greeting.iter().find(|line| line.starts_with("Dashboard:")).expect("the dashboard's line");
    let password = dashboard.split_whitespace().last().expect("its password");
    let encoded = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, format!("admin:{password}"));
    let shown = dev.client().with("authorization", format!("Basic {encoded}")).get("/admin/dashboard").await;
    assert_eq!(shown.status, 200, "{dashboard}");

    dev.signal(Signal::INT);
    assert!(dev.wait().success());
}

async fn leaves_nothing(signal: Signal, ends_well: bool) {
    let scratch = scratch();
    let mut dev = Dev::start(scratch.path(), &["--ephemeral"]);
    let family = dev.family();
    assert!(family.len() >= 2 && family.iter().all(|id| runs(*id)), "a guard and a Postgres at least: {family:?}");
    assert!(!names_in(scratch.path()).is_empty());
    let told = Instant::now();
    dev.signal(signal);
    assert_eq!(dev.wait().success(), ends_well);
    gone(&family, scratch.path(), &[]).await;
    tell(&format!("dev --ephemeral after {signal:?}: all gone within {} ms", told.elapsed().as_millis()));
}

#[tokio::test]
async fn ctrl_c_leaves_no_process_and_no_file() {
    leaves_nothing(Signal::INT, true).await;
}

#[tokio::test]
async fn sigterm_leaves_no_process_and_no_file() {
    leaves_nothing(Signal::TERM, true).await;
}

#[tokio::test]
async fn a_killed_bus_leaves_no_process_and_no_file() {
    leaves_nothing(Signal::KILL, false).await;
}

#[tokio::test]
async fn kept_data_survives_a_restart_and_a_kill() {
    let scratch = scratch();
    let data = scratch.path().join("data");
    let arguments = ["--data", data.to_str().expect("a path in UTF-8")];
    let stays = ["data", "data-secrets.env"];

    let mut first = Dev::start(scratch.path(), &arguments);
    let key = first.exported("INTENT_API_KEY").to_owned();
    let before = first.client().published(intent("kept")).await;
    let family = first.family();
    first.signal(Signal::INT);
    assert!(first.wait().success());
    gone(&family, scratch.path(), &stays).await;
    let secrets = fs::metadata(scratch.path().join("data-secrets.env")).expect("the secrets");
    assert_eq!(secrets.permissions().mode() & 0o777, 0o600);

    let mut second = Dev::start(scratch.path(), &arguments);
    assert_eq!(second.exported("INTENT_API_KEY"), key);
    assert_eq!(second.client().status(&before).await.expect(200)["status"], "open");
    let claim = second.client().claimed("kept").await;
    let after = second.client().published(intent("kept")).await;
    let family = second.family();
    second.signal(Signal::KILL);
    assert!(!second.wait().success());

    // At once: it has to wait for the guard that clears up after the one that was killed.
    let mut third = Dev::start(scratch.path(), &arguments);
    let family = [family, third.family()].concat();
    assert_eq!(third.exported("INTENT_API_KEY"), key);
    assert_eq!(third.client().status(&after).await.expect(200)["status"], "open");
    third.client().fulfill(&claim, json!("kept")).await.expect(200);
    assert_eq!(third.client().result(&before).await.expect(200)["result"], "kept");
    third.signal(Signal::INT);
    assert!(third.wait().success());
    gone(&family, scratch.path(), &stays).await;
}

#[tokio::test]
async fn a_second_bus_on_the_same_data_is_refused_in_words() {
    let scratch = scratch();
    let data = scratch.path().join("data");
    let mut first = Dev::start(scratch.path(), &["--data", data.to_str().expect("a path in UTF-8")]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_intent-bus"));
    command.args(["dev", "--yes", "--listen", "127.0.0.1:0", "--data"]).arg(&data).env("TMPDIR", scratch.path());
    let second =
        tokio::task::spawn_blocking(move || command.output().expect("the binary starts")).await.expect("no panic");
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(!second.status.success() && said.contains(data.to_str().expect("a path in UTF-8")), "{said}");
    first.client().published(intent("still here")).await;
    first.signal(Signal::INT);
    assert!(first.wait().success());
}

#[tokio::test]
async fn what_the_runbook_needs_is_printed_too() {
    let scratch = scratch();
    let mut dev = Dev::start(scratch.path(), &["--ephemeral"]);
    let client = Client::new(crate::support::http().build().expect("an HTTP client"), String::new());
    let metrics = client.get(dev.exported("METRICS")).await;
    assert!(metrics.text().contains("\nintent_bus_replicas "), "{}", metrics.text());
    let exports: String = dev
        .lines_to_paste()
        .lines()
        .filter(|line| line.contains("export "))
        .fold(String::new(), |all, line| all + line + "\n");
    let run = |commands: &str| {
        let output = Command::new("bash")
            .args(["-euc", &format!("{exports}\n{commands}")])
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("INTENT", env!("CARGO_BIN_EXE_intent-bus"))
            .output()
            .expect("bash");
        assert!(output.status.success(), "{commands}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    // As the runbook has them. psql is left out: not every machine with a Postgres has it.
    let status = run("$INTENT migrate --status");
    assert!(status.lines().count() > 5 && status.lines().all(|line| line.starts_with("applied")), "{status}");
    run("$INTENT check $BUS");
    run("curl -sS --fail \"$BUS/admin/dead\" -H \"X-Admin-Token: $INTENT_ADMIN_TOKEN\"");
    dev.signal(Signal::INT);
    assert!(dev.wait().success());
}
