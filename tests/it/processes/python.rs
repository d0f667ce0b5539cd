//! Clients in Python, against real replicas: every published version of the SDK, hostile bytes, the API's description; and a
//! browser that they drive through the dashboard.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use sha2::{Digest, Sha256};

use super::{tell, without_faults};
use crate::support::{
    TestDb,
    app::{ADMIN, METRICS, PASSWORD, ROOT},
    process::Replica,
};

pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The interpreter of a virtual environment that has what the scripts need. Made once, and again when the requirements change.
pub(crate) fn interpreter() -> &'static Path {
    static INTERPRETER: OnceLock<PathBuf> = OnceLock::new();
    INTERPRETER.get_or_init(|| {
        let home = repository().join("target").join("python-venv");
        let (interpreter, marker) = (home.join("bin").join("python"), home.join("requirements.sha256"));
        let requirements = repository().join("tests/python/requirements.txt");
        let wanted = hex::encode(Sha256::digest(fs::read(&requirements).expect("the requirements")));
        fs::create_dir_all(repository().join("target")).expect("the folder of what is built");
        // Another run of the tests may be at it.
        let lock = File::create(home.with_extension("lock")).expect("a lock");
        lock.lock().expect("a lock");
        if !fs::read_to_string(&marker).is_ok_and(|found| found == wanted) {
            run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&home));
            let mut pip = Command::new(&interpreter);
            run(pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]).arg(&requirements));
            fs::write(&marker, wanted).expect("the marker");
        }
        interpreter
    })
}

/// The folder with a version of the SDK, as it was published.
pub(crate) fn sdk(version: &str) -> PathBuf {
    let fetch = "import sys; from pathlib import Path; from sdk import versions; print(versions.fetch(sys.argv[1], Path(sys.argv[2])))";
    let mut command = Command::new(interpreter());
    command.args(["-c", fetch, version]).arg(repository().join("target/sdk")).stdin(Stdio::null());
    let output = command.env("PYTHONPATH", repository().join("tests/python")).output().expect("the interpreter starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("a path").trim_end().into()
}

fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{said}\n{complained}", output.status);
}

/// Runs a script of `tests/python` against a replica on a database of its own, which must come out of it without a fault.
async fn script(name: &str, settings: &[(&str, &str)], arguments: &[&str]) {
    script_on(&TestDb::create().await, name, settings, arguments).await;
}

/// The same on a database that holds something already.
async fn script_on(db: &TestDb, name: &str, settings: &[(&str, &str)], arguments: &[&str]) {
    let fixed = [("BUS_RATE_LIMIT_PER_MINUTE", "100000"), ("BUS_MAX_OPEN_INTENTS", "100000"), ("BUS_WORKERS", "2")];
    let settings: Vec<_> = fixed.iter().chain(settings).copied().collect();
    let replica = Replica::start(db, &settings);
    let url = format!("http://{}", replica.address);
    let path = repository().join("tests/python").join(name);
    let arguments: Vec<String> = ["--url", &url, "--root-key", ROOT, "--admin-token", ADMIN]
        .iter()
        .chain(arguments)
        .map(ToString::to_string)
        .collect();
    let ran = tokio::task::spawn_blocking(move || {
        let mut command = Command::new(interpreter());
        command.arg(path).args(arguments).stdin(Stdio::null()).env("PYTHONDONTWRITEBYTECODE", "1");
        command.output().expect("the interpreter starts")
    });
    let output = ran.await.expect("no panic");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{name}: {}\n{said}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    tell(&format!("{name}:\n{}", last_part(&said)));

    replica.nobody().get("/readyz").await.expect(200);
    without_faults(&replica);
}

/// What a script says last: its closing table and what stands below it.
fn last_part(said: &str) -> String {
    let lines: Vec<&str> = said.trim_end().lines().collect();
    lines[lines.len().saturating_sub(80)..].join("\n")
}

#[tokio::test]
async fn every_published_sdk_finds_what_it_expects() {
    script("sdk_matrix.py", &[("BUS_CLAIM_TIMEOUT_SECONDS", "2")], &["--claim-timeout", "2"]).await;
}

#[tokio::test]
async fn hostile_bytes_break_nothing() {
    script("hostile_bytes.py", &[], &["--seed", "1", "--requests", "5000"]).await;
}

#[tokio::test]
async fn the_bus_does_what_its_description_says() {
    script("openapi_check.py", &[], &["--dashboard-password", PASSWORD, "--metrics-token", METRICS]).await;
}

/// A browser of this machine. `TEST_CHROMIUM` names another.
fn chromium() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let named = std::env::var_os("TEST_CHROMIUM").map(PathBuf::from);
    let installed = std::env::split_paths(&path)
        .flat_map(|folder| ["chromium", "chromium-browser", "google-chrome"].map(|name| folder.join(name)));
    named.into_iter().chain(installed).find(|file| file.is_file())
}

/// `PAGES_SCREENSHOTS` names a folder for its screenshots.
#[tokio::test]
async fn a_browser_can_use_every_page_of_the_dashboard() {
    let Some(chromium) = chromium() else {
        return tell("SKIPPED: no Chromium is installed, so the dashboard was not looked at with a browser.");
    };
    let db = TestDb::create().await;
    // The schema is there once a replica has run; the history is told before the one that is looked at.
    Replica::start(&db, &[]).terminate();
    db.batch(include_str!("../../python/pages/history.sql")).await;
    let chromium = chromium.to_str().expect("a path in UTF-8");
    let screenshots = std::env::var("PAGES_SCREENSHOTS").ok();
    let mut arguments = vec!["--dashboard-password", PASSWORD, "--chromium", chromium];
    if let Some(folder) = &screenshots {
        arguments.extend(["--screenshots", folder]);
    }
    let settings = [("BUS_CLEANUP_INTERVAL_SECONDS", "2"), ("BUS_CLAIM_TIMEOUT_SECONDS", "600")];
    script_on(&db, "pages_check.py", &settings, &arguments).await;
}
