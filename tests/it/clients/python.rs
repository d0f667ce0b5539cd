//! The Rust client and the Python SDK, one publishing and the other executing.

use std::process::Stdio;

use intent_bus_client::{Job, Worker};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use super::{PATIENCE, client, fulfilled};
use crate::{
    processes::python::{interpreter, repository},
    support::{TestApp, app::ROOT},
};

/// Versions that stand for their generation: 1.x, and 2.1 with tokens.
const VERSIONS: [&str; 2] = ["1.2.0", "2.1.2"];
const COUNT: u64 = 5;

async fn script(app: &TestApp, version: &str, arguments: &[&str]) -> Child {
    // Making the environment, the first time, is not for the threads that serve.
    let interpreter = tokio::task::spawn_blocking(interpreter).await.expect("no panic");
    let mut command = Command::new(interpreter);
    command.arg(repository().join("tests/python/interop.py"));
    command.args(["--url", &format!("http://{}", app.address), "--key", ROOT, "--version", version]).args(arguments);
    command.env("PYTHONDONTWRITEBYTECODE", "1").env("NO_PROXY", "127.0.0.1").env_remove("INTENT_API_KEY");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    command.spawn().expect("the interpreter starts")
}

#[tokio::test]
async fn rust_publishes_and_python_executes() {
    for version in VERSIONS {
        let app = TestApp::spawn().await;
        let bus = client(&app);
        let mut ids = Vec::new();
        for n in 0..COUNT {
            ids.push(bus.publish("double", &json!({"n": n})).await.unwrap().id);
        }
        let worker = script(&app, version, &["work", "double"]).await;
        let attempts = fulfilled(&bus, &ids).await;
        assert_eq!(attempts, vec![1; ids.len()], "{version}");
        if version == "2.1.2" {
            let result: Option<Value> = bus.result(&ids[3]).await.unwrap().value().unwrap();
            assert_eq!(result, Some(json!({"twice": 6})));
        }
        drop(worker);
    }
}

#[tokio::test]
async fn python_publishes_and_rust_executes() {
    for version in VERSIONS {
        let app = TestApp::spawn().await;
        let bus = client(&app);
        let mut publisher = script(&app, version, &["publish", "double", &COUNT.to_string()]).await;
        let mut lines = BufReader::new(publisher.stdout.take().expect("its output")).lines();
        let double = |job: Job<Value>| async move {
            let n = job.payload["n"].as_u64().ok_or("no number")?;
            Ok::<_, &str>(json!({"twice": n * 2}))
        };
        let mut results = Vec::new();
        let read = async {
            while let Some(id) = lines.next_line().await.expect("a line") {
                let result = bus.wait_for_result(&id, PATIENCE).await.unwrap();
                results.push(result.value::<Value>().unwrap().expect("a result"));
            }
        };
        Worker::new(bus.clone()).goal("double", double).concurrency(2).run_until(read).await.unwrap();
        let expected: Vec<_> = (0..COUNT).map(|n| json!({"twice": n * 2})).collect();
        assert_eq!(results, expected, "{version}");
    }
}
