//! `get` and `set`, and what operators do: `keys` and `dead`.

use std::{fs, os::unix::fs::PermissionsExt, process::Stdio};

use serde_json::json;
use tokio::io::AsyncWriteExt;

use super::{Cli, Ran, finish};
use crate::support::{TestApp, app::ADMIN, factory::intent_with};

#[tokio::test]
async fn a_value_that_is_set_can_be_got_for_a_while() {
    let app = TestApp::spawn().await;
    let cli = Cli::of(&app);
    assert_eq!(cli.run(&["set", "build/42", "it's \"green\"", "--ttl", "1m"]).await.expect(0), "");
    assert_eq!(cli.run(&["get", "build/42"]).await.expect(0), "it's \"green\"");
    assert_eq!(cli.run(&["get", "build/42", "--json"]).await.json(0), json!({"value": "it's \"green\""}));
    cli.run(&["set", "n", r#"{"a": 1.50}"#, "--raw"]).await.expect(0);
    assert_eq!(cli.run(&["get", "n"]).await.expect(0), r#"{"a":1.50}"#);
    cli.run(&["set", "n", "{", "--raw"]).await.expect(2);
    cli.put("value", "two\nlines\n");
    cli.run(&["set", "file", "@value"]).await.expect(0);
    assert_eq!(cli.run(&["get", "file"]).await.out, "two\nlines\n");
    let mut piped =
        cli.command(&["set", "pipe", "-", "--raw"]).stdin(Stdio::piped()).spawn().expect("the binary starts");
    piped.stdin.take().expect("its input").write_all(b"[1, 2]\n").await.expect("it reads");
    finish(piped).await.expect(0);
    assert_eq!(cli.run(&["get", "pipe"]).await.expect(0), "[1,2]");
    cli.run(&["set", "file", "@nowhere"]).await.expect(2);
    let gone = cli.run(&["get", "nothing"]).await;
    gone.expect(5);
    assert!(gone.complaint.contains("no value under \"nothing\""), "{}", gone.complaint);
}

#[tokio::test]
async fn operators_make_list_rotate_and_revoke_keys() {
    let app = TestApp::spawn().await;
    let cli = operator(&app);
    let made = cli.run(&["keys", "create", "ada", "--scopes", "publish,read", "--expires-in", "1h"]).await;
    let key = made.expect(0).to_owned();
    assert!(key.starts_with("tk_") && made.complaint.contains("(ada). It is shown this once."), "{}", made.complaint);
    let ada = Cli::with_key(&app, &key);
    ada.run(&["publish", "g"]).await.expect(0);
    ada.run(&["get", "x"]).await.expect(4);
    let listed = cli.run(&["keys", "list", "--json"]).await.json(0);
    let number = listed["keys"][0]["id"].to_string();
    assert_eq!(listed["keys"][0]["scopes"], json!(["publish", "read"]));
    let shown = cli.run(&["keys", "list"]).await;
    assert!(shown.expect(0).contains("publish,read"), "{}", shown.out);
    assert!(!shown.out.contains(&key));
    let next = cli.run(&["keys", "rotate", &number, "--overlap", "0", "--json"]).await.json(0);
    ada.run(&["publish", "g"]).await.expect(4);
    let ada = Cli::with_key(&app, next["api_key"].as_str().expect("a key"));
    ada.run(&["publish", "g"]).await.expect(0);
    assert_eq!(cli.run(&["keys", "revoke", &next["id"].to_string()]).await.expect(0), "");
    ada.run(&["publish", "g"]).await.expect(4);
    cli.run(&["keys", "revoke", "999999"]).await.expect(5);
    cli.run(&["keys", "create"]).await.expect(2);
    // The key of a tenant is no token of operators, and none at all is told before anything is sent.
    let none = Cli::of(&app).run(&["keys", "list"]).await;
    none.expect(2);
    assert!(none.complaint.contains("INTENT_ADMIN_TOKEN"), "{}", none.complaint);
    cli.0.put("token", "not this one");
    for command in [["keys", "list"], ["dead", "list"]] {
        let wrong = cli.run(&command).await;
        wrong.expect(4);
        assert!(
            wrong.complaint.contains("token of token is refused: it is not the BUS_ADMIN_SECRET"),
            "{}",
            wrong.complaint
        );
    }
}

#[tokio::test]
async fn operators_look_at_dead_letters_and_bring_them_back() {
    let app = TestApp::spawn().await;
    let (cli, root) = (operator(&app), app.root());
    let id = root.published(intent_with("g", json!({"max_attempts": 1}))).await;
    let claim = root.claimed("g").await;
    root.fail(&claim, "no such\nfile").await.expect(200);
    let listed = cli.run(&["dead", "list", "--goal", "g"]).await;
    assert!(listed.expect(0).contains("1/1       default    g     no such file"), "{}", listed.out);
    let shown = cli.run(&["dead", "show", &id]).await;
    assert!(shown.expect(0).contains("reason     no such\n           file\n"), "{}", shown.out);
    assert_eq!(cli.run(&["dead", "list", "--json", "--goal", "other"]).await.json(0)["intents"], json!([]));
    assert!(cli.run(&["dead", "show", &id]).await.expect(0).contains("payload    {\"n\":1}"));
    assert_eq!(cli.run(&["dead", "show", &id, "--json"]).await.json(0)["reason"], "no such\nfile");
    let nobody = "0".repeat(32);
    let retried = cli.run(&["dead", "retry", &nobody, &id]).await;
    retried.expect(5);
    assert!(
        retried.complaint.contains(&nobody) && retried.complaint.contains("is open again"),
        "{}",
        retried.complaint
    );
    assert_eq!(root.status(&id).await.expect(200)["status"], "open");
    cli.run(&["dead", "retry", &id]).await.expect(9);
    cli.run(&["dead", "show", &id]).await.expect(5);
}

#[tokio::test]
async fn the_file_with_the_token_of_operators_is_looked_at_as_a_key_file_is() {
    let app = TestApp::spawn().await;
    let cli = operator(&app);
    let token = cli.0.folder().join("token");
    fs::set_permissions(&token, fs::Permissions::from_mode(0o644)).expect("a file of ours");
    let told = cli.run(&["keys", "list"]).await;
    told.expect(0);
    assert!(told.complaint.contains("chmod 600"), "{}", told.complaint);
    fs::rename(&token, token.with_file_name("elsewhere")).expect("a file of ours");
    cli.run(&["keys", "list"]).await.expect(2);
    std::os::unix::fs::symlink("elsewhere", &token).expect("a link");
    let told = cli.run(&["keys", "list"]).await;
    told.expect(2);
    assert!(told.complaint.contains("symbolic link"), "{}", told.complaint);
}

/// The command line of an operator, whose token is in a file.
fn operator(app: &TestApp) -> Operator {
    let cli = Cli::with_key(app, "");
    cli.put("token", &format!("{ADMIN}\n"));
    Operator(cli)
}

struct Operator(Cli);

impl Operator {
    async fn run(&self, arguments: &[&str]) -> Ran {
        self.0.run(&[arguments, &["--admin-token-file", "token"]].concat()).await
    }
}
