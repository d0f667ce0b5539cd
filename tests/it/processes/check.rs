//! `intent-bus check` and `intent-bus health`, as a probe or a person runs them.

use std::process::{Output, Stdio};

use tokio::{net::TcpListener, process::Command};

use crate::support::{TestApp, app::ROOT};

async fn run(arguments: &[&str], key: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_intent-bus"));
    command
        .args(arguments)
        .env_remove("BUS_SECRET")
        .env_remove("INTENT_API_KEY")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    if let Some(key) = key {
        command.env("BUS_SECRET", key);
    }
    command.output().await.expect("the binary starts")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[tokio::test]
async fn a_check_takes_one_signed_intent_through_the_bus_and_leaves_nothing_open() {
    let app = TestApp::with(&[("BUS_REQUIRE_SIGNATURES", "true")]).await;
    let output = run(&["check", &format!("http://{}", app.address)], Some(ROOT)).await;
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("published, claimed and fulfilled"), "{}", said(&output));
    assert_eq!(app.db.count("intents").await, 0);
    assert_eq!(app.db.count("finished").await, 1);
}

#[tokio::test]
async fn a_check_with_a_wrong_key_or_none_says_so_and_fails() {
    let app = TestApp::spawn().await;
    let url = format!("http://{}", app.address);
    let output = run(&["check", &url], Some("a-key-that-nobody-has")).await;
    assert!(!output.status.success() && said(&output).contains("POST /intent was answered 401"), "{}", said(&output));
    let output = run(&["check", &url], None).await;
    assert!(
        !output.status.success() && said(&output).contains("Give the API key as INTENT_API_KEY"),
        "{}",
        said(&output)
    );
}

#[tokio::test]
async fn health_is_that_of_the_replica_that_is_asked() {
    let app = TestApp::spawn().await;
    let output = run(&["health", &format!("http://{}", app.address)], None).await;
    assert!(output.status.success(), "{}", said(&output));
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let output = run(&["health", &url], None).await;
    assert!(!output.status.success() && said(&output).contains("Nobody answers"), "{}", said(&output));
}
