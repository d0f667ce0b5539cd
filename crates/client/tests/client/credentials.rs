//! Where the key and the address come from. The environment belongs to a process, so each case is a process of its own: this test
//! binary once more, which runs [`a_client_by_the_environment`] alone.

use std::{os::unix::fs::PermissionsExt, path::Path, process::Output};

use intent_bus_client::IntentClient;
use tokio::process::Command;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

/// Not a test of anything: what the others run.
#[tokio::test]
#[ignore = "run by other tests, in a process of its own"]
async fn a_client_by_the_environment() {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    if std::env::var_os("TEST_CREDENTIALS").is_some() {
        let bus = IntentClient::from_env().unwrap_or_else(|error| panic!("{error}"));
        bus.get("a").await.unwrap();
    }
}

/// Runs a client with this environment. Gives what it said, and the keys that it sent.
async fn run(home: &Path, key: Option<&str>, with_url: bool) -> (Output, Vec<String>) {
    let server = MockServer::start().await;
    let answer = ResponseTemplate::new(200).set_body_string(r#"{"value":"x"}"#);
    Mock::given(any()).respond_with(answer).mount(&server).await;
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["credentials::a_client_by_the_environment", "--exact", "--ignored", "--nocapture"]);
    command.env("HOME", home).env("TEST_CREDENTIALS", "1").env("NO_PROXY", "127.0.0.1").env("NO_COLOR", "1");
    command.env_remove("INTENT_API_KEY").env_remove("INTENT_BUS_URL");
    if with_url {
        command.env("INTENT_BUS_URL", server.uri());
    }
    if let Some(key) = key {
        command.env("INTENT_API_KEY", key);
    }
    let output = command.output().await.unwrap();
    let received = server.received_requests().await.unwrap_or_default();
    let keys = received.iter().map(|request| request.headers["x-api-key"].to_str().unwrap().to_owned());
    (output, keys.collect())
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
}

fn key_file(home: &Path, mode: u32) {
    let path = home.join(".apikey");
    std::fs::write(&path, "tk_file\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn the_environment_goes_before_the_file_and_the_file_before_nothing() {
    let home = tempfile::tempdir().unwrap();
    let (output, keys) = run(home.path(), None, true).await;
    assert!(keys.is_empty() && said(&output).contains("There is no API key"), "{}", said(&output));
    key_file(home.path(), 0o600);
    let (output, keys) = run(home.path(), Some("tk_environment"), true).await;
    assert_eq!(keys, ["tk_environment"], "{}", said(&output));
    for blank in [None, Some(" ")] {
        let (output, keys) = run(home.path(), blank, true).await;
        assert_eq!(keys, ["tk_file"], "{}", said(&output));
        assert!(!said(&output).contains("WARN") && !said(&output).contains("tk_file"), "{}", said(&output));
    }
}

#[tokio::test]
async fn a_file_that_others_can_read_is_used_with_a_warning() {
    for mode in [0o644, 0o640, 0o620] {
        let home = tempfile::tempdir().unwrap();
        key_file(home.path(), mode);
        let (output, keys) = run(home.path(), None, true).await;
        assert_eq!(keys, ["tk_file"]);
        assert!(said(&output).contains("others can read or change the key"), "{mode:o}: {}", said(&output));
    }
}

#[tokio::test]
async fn a_link_in_place_of_the_file_is_refused() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("other"), "tk_other").unwrap();
    std::os::unix::fs::symlink(home.path().join("other"), home.path().join(".apikey")).unwrap();
    let (output, keys) = run(home.path(), None, true).await;
    assert!(keys.is_empty() && said(&output).contains("symbolic link"), "{}", said(&output));
}

#[tokio::test]
async fn without_an_address_nothing_is_asked() {
    let home = tempfile::tempdir().unwrap();
    let (output, keys) = run(home.path(), Some("tk_environment"), false).await;
    assert!(keys.is_empty() && said(&output).contains("INTENT_BUS_URL"), "{}", said(&output));
}
