//! The workers of docs/workers.md that are no shell lines: those in Python and in Rust, and the service of systemd; and what
//! the one of curl alone shows to others.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::tempdir;

use super::Cli;
use crate::{
    processes::{python, tell},
    support::{TestApp, app::ROOT, factory::intent},
};

/// How exposed `systemd-analyze security` may find the service: its "OK" begins below 50 of 100, a plain one has 96.
const MOST_EXPOSED: &str = "--threshold=25";

#[tokio::test]
async fn the_worker_in_python_does_its_work() {
    let document = include_str!("../../../docs/workers.md");
    let code = document.split("```python\n").nth(1).and_then(|rest| rest.split("```").next()).expect("its code");
    let mut worker = tokio::process::Command::new(python::interpreter());
    worker.args(["-c", code]).env("PYTHONPATH", python::sdk("2.1.2"));
    greets(worker).await;
}

#[tokio::test]
async fn the_worker_in_rust_does_its_work() {
    greets(tokio::process::Command::new(example("worker"))).await;
}

#[tokio::test]
async fn the_worker_of_curl_shows_neither_key_nor_claim_token_to_other_users() {
    let document = include_str!("../../../docs/workers.md");
    let code = document.split("cat > worker.sh <<'END'\n").nth(1).and_then(|rest| rest.split("END\n").next());
    let app = TestApp::spawn().await;
    let (cli, folder) = (Cli::of(&app), tempdir().expect("a folder"));
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("a file");
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("a file of ours");
    };
    write("worker.sh", code.expect("its code"));
    // The next claim, which finds nothing, is put in the place of this one.
    write("greet", "#!/bin/sh\ncp claim.json kept.json\ncat\n");
    write("headers", &format!("X-API-KEY: {ROOT}\nX-Intent-Version: 2.1\n"));
    // What it starts, with its arguments, which everybody on the machine can see.
    for (name, real) in [("python3", python::interpreter()), ("curl", Path::new("/usr/bin/curl"))] {
        if !real.exists() {
            return tell(&format!("SKIPPED: there is no {}, so the worker of curl was not run.", real.display()));
        }
        let note = format!("printf '%s\\n' {name} \"$@\" >> started");
        write(name, &format!("#!/bin/sh\n{note}\nexec {} \"$@\"\n", real.display()));
    }
    let id = app.root().published(intent("greet")).await;
    let mut worker = tokio::process::Command::new("bash");
    let path = format!("{}:{}", folder.path().display(), env::var("PATH").expect("a path"));
    worker.arg("worker.sh").current_dir(folder.path()).env("PATH", path).env("BUS", &cli.url);
    let ended = worker.stdin(Stdio::null()).kill_on_drop(true).status().await.expect("bash starts");
    assert!(ended.success(), "{ended}");
    assert_eq!(app.root().result(&id).await.expect(200)["result"], r#"{"n": 1}"#);
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).expect("a file");
    let claim: Value = serde_json::from_str(&read("kept.json")).expect("JSON");
    let token = claim["claim_token"].as_str().expect("a token");
    let started = read("started");
    assert!(started.contains("/fulfill/") && !started.contains(token) && !started.contains(ROOT), "{started}");
}

/// Runs a worker until it has greeted somebody.
async fn greets(mut worker: tokio::process::Command) {
    let app = TestApp::spawn().await;
    let mut worker = worker
        .env("INTENT_BUS_URL", format!("http://{}", app.address))
        .env("INTENT_API_KEY", ROOT)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("the worker starts");
    let result = Cli::of(&app).run(&["publish", "greet", r#"{"name": "snake"}"#, "--wait=60s", "--json"]).await.json(0);
    assert_eq!((&result["status"], &result["result"]), (&json!("fulfilled"), &json!("hello, snake")));
    super::signal(&worker, Signal::TERM);
    worker.wait().await.expect("a child of ours");
}

/// An example of the client: beside the tests where all of the workspace is built for them, else built now.
fn example(name: &str) -> PathBuf {
    let tests = env::current_exe().expect("the path of this test");
    let path = tests.parent().and_then(Path::parent).expect("the folder of the build").join("examples").join(name);
    if !path.exists() {
        let build = ["build", "--quiet", "--locked", "--package", "intent-bus-client", "--example", name];
        assert!(Command::new(env!("CARGO")).args(build).status().expect("cargo runs").success());
    }
    path
}

#[test]
fn the_service_is_one_that_systemd_takes_and_is_hardly_exposed() {
    let folder = tempdir().expect("a folder");
    let unit = folder.path().join("intent-bus-worker.service");
    let text =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/worker/intent-bus-worker.service"));
    let text = text.expect("the unit").replace("/usr/local/bin/intent-bus", env!("CARGO_BIN_EXE_intent-bus"));
    fs::write(&unit, &text).expect("the unit");
    for arguments in [["verify", "--man=no"].as_slice(), &["security", "--offline=true", MOST_EXPOSED]] {
        let Ok(output) = Command::new("systemd-analyze").args(arguments).arg(&unit).output() else {
            return tell("SKIPPED: there is no systemd-analyze, so the service was not looked at.");
        };
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
    }
}
