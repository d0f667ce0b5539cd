//! `listen`: what a program gets, what becomes of what it prints, and when it is not run at all.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    process::Stdio,
    sync::atomic::{AtomicUsize, Ordering},
};

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{Cli, answering, finish, http, said, signal, stop};
use crate::support::{
    Client, TestApp,
    factory::{intent, intent_with},
};

/// The result of an intent that must be fulfilled.
async fn result(root: &Client, id: &str) -> Value {
    let result = root.result(id).await.expect(200);
    assert_eq!(result["status"], "fulfilled", "{result}");
    result
}

#[tokio::test]
async fn a_payload_is_data_whatever_it_holds() {
    let app = TestApp::spawn().await;
    let (cli, root) = (Cli::of(&app), app.root());
    let long = format!("{{\"long\":\"{}\"}}", "x'\\\"$".repeat(50_000));
    let payloads = [
        r#"{"a": "'; touch pwned; '", "b": "$(touch pwned)", "c": "`touch pwned`"}"#,
        r#"{"lines": "one\ntwo\r\n\u0000three", "quotes": "\"'\\\\\"", "glob": "* ? ~ $HOME"}"#,
        r#"{"option": "--output=pwned", "n": 1e400, "surrogate": "\ud800"}"#,
        &long,
    ];
    let mut ids = Vec::new();
    for payload in payloads {
        let body = format!(r#"{{"goal":"echo $(touch pwned) '\"","payload":{payload}}}"#);
        ids.push(root.published(body).await);
    }
    let ran =
        cli.run(&["listen", "echo $(touch pwned) '\"", "--drain", "--max-output", "300000", "--exec", "cat"]).await;
    ran.expect(0);
    for (id, payload) in ids.iter().zip(payloads) {
        let answer = root.result(id).await;
        assert!(answer.text().contains(&format!(r#""result":{payload},"#)), "{:.300}", answer.text());
    }
    assert!(!cli.has("pwned"));
}

#[tokio::test]
async fn a_program_learns_whose_intent_it_is_and_no_secret() {
    let app = TestApp::spawn().await;
    let (cli, root) = (Cli::of(&app), app.root());
    let id = root.published(intent_with("who\n$(date)", json!({"namespace": "images"}))).await;
    let arguments = ["listen", "who\n$(date)", "--namespace", "images", "--once", "--exec", "env", "-0"];
    let mut command = cli.command(&arguments);
    for name in ["BUS_SECRET", "BUS_ADMIN_SECRET", "INTENT_ADMIN_TOKEN", "DATABASE_URL", "DASHBOARD_PASSWORD"] {
        command.env(name, "s3cr3t");
    }
    command.env("COLOUR", "blue");
    finish(command.spawn().expect("the binary starts")).await.expect(0);
    let result = result(&root, &id).await;
    let variables: Vec<&str> = result["result"].as_str().expect("text").split('\0').collect();
    for expected in [
        &format!("INTENT_ID={id}"),
        "INTENT_GOAL=who\n$(date)",
        "INTENT_NAMESPACE=images",
        "INTENT_ATTEMPT=1",
        "COLOUR=blue",
    ] {
        assert!(variables.contains(&expected), "{expected}: {variables:?}");
    }
    assert!(
        !variables.iter().any(|variable| variable.contains("s3cr3t") || variable.contains(&cli.key)),
        "{variables:?}"
    );
}

#[tokio::test]
async fn a_program_of_the_same_user_cannot_read_the_key_out_of_the_worker() {
    let app = TestApp::spawn().await;
    let (cli, root) = (Cli::of(&app), app.root());
    let id = root.published(intent("peek")).await;
    let peek = "cat /proc/$PPID/environ; cat /proc/$(cut -d ' ' -f 4 /proc/$PPID/stat)/environ 2>&1; true";
    let mut command = cli.command(&["listen", "peek", "--once", "--exec", "sh", "-c", peek]);
    if rustix::process::geteuid().is_root() {
        // Root may read everything, so it has to be somebody else, with a binary within reach.
        let binary = cli.folder().join("intent-bus");
        fs::copy(env!("CARGO_BIN_EXE_intent-bus"), &binary).expect("a copy");
        fs::set_permissions(cli.folder(), fs::Permissions::from_mode(0o755)).expect("a folder of ours");
        let same: Vec<_> =
            command.as_std().get_envs().map(|(name, value)| (name.to_owned(), value.map(ToOwned::to_owned))).collect();
        let mut other = tokio::process::Command::new(&binary);
        other
            .args(command.as_std().get_args())
            .env_clear()
            .current_dir(cli.folder())
            .stdin(Stdio::null())
            .uid(65534)
            .gid(65534);
        for (name, value) in same {
            other.env(name, value.unwrap_or_default());
        }
        command = other;
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
    }
    finish(command.spawn().expect("the binary starts")).await.expect(0);
    let result = result(&root, &id).await;
    let seen = result["result"].as_str().expect("text");
    assert!(seen.contains("INTENT_ID=") && seen.contains("Permission denied"), "{seen:?}");
    assert!(!seen.contains(&cli.key), "{seen:?}");
}

#[tokio::test]
async fn what_is_printed_becomes_the_result() {
    let app = TestApp::spawn().await;
    let (cli, root) = (Cli::of(&app), app.root());
    for (printed, result_type, expected) in [
        (r#"{"width": 640}\n"#, "json", json!({"width": 640})),
        ("17", "json", json!(17)),
        (r"two words\n", "text", json!("two words")),
        (r#"{"a": 1}\n{"a": 2}\n"#, "text", json!("{\"a\": 1}\n{\"a\": 2}")),
    ] {
        let id = root.published(intent("g")).await;
        cli.run(&["listen", "g", "--once", "--exec", "printf", printed]).await.expect(0);
        let result = result(&root, &id).await;
        assert_eq!((&result["result"], &result["result_type"]), (&expected, &json!(result_type)), "{printed}");
    }
    let id = root.published(intent("g")).await;
    cli.run(&["listen", "g", "--once", "--exec", "true"]).await.expect(0);
    assert!(result(&root, &id).await.get("result").is_none());
}

#[tokio::test]
async fn a_program_that_fails_says_why_and_is_tried_again() {
    let app = TestApp::spawn().await;
    let (cli, root) = (Cli::of(&app), app.root());
    let id = root.published(intent_with("g", json!({"max_attempts": 2}))).await;
    let failing = ["listen", "g", "--once", "--exec", "sh", "-c", "cat >&2; echo; echo no such file >&2; exit 3"];
    let ran = cli.run(&failing).await;
    ran.expect(6);
    assert!(ran.complaint.contains(&format!("{id} g failed in ")), "{}", ran.complaint);
    let status = root.status(&id).await.expect(200);
    assert_eq!(
        (&status["status"], &status["last_error"]),
        (&json!("open"), &json!("exit status: 3: {\"n\":1}no such file"))
    );
}

#[tokio::test]
async fn a_worker_without_its_program_claims_nothing() {
    let app = TestApp::spawn().await;
    let (cli, root) = (Cli::of(&app), app.root());
    root.published(intent("g")).await;
    cli.put("greet", "#!/bin/sh\n");
    fs::create_dir(cli.folder().join("folder")).expect("a folder");
    for (program, why) in [
        ("no-such-program", "--exec: there is no program no-such-program in PATH"),
        ("./nowhere", "--exec: there is no ./nowhere"),
        ("./greet", "--exec: ./greet is not executable. Make it so: chmod +x ./greet"),
        ("./folder", "--exec: ./folder is a folder"),
    ] {
        let ran = cli.run(&["listen", "g", "--once", "--exec", program]).await;
        ran.expect(2);
        assert!(ran.complaint.contains(why), "{}", ran.complaint);
    }
    assert_eq!(app.db.count("intents WHERE claim_attempts > 0").await, 0);
}

#[tokio::test]
async fn a_program_that_is_gone_by_then_fails_the_intent_and_says_so() {
    let app = TestApp::spawn().await;
    let (cli, root) = (Cli::of(&app), app.root());
    let program = cli.folder().join("greet");
    for once in [true, false] {
        cli.put("greet", "#!/bin/sh\n");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("a file of ours");
        let mut worker = cli.start(
            &[["listen", "g"].as_slice(), if once { &["--once"] } else { &[] }, &["--exec", "./greet"]].concat(),
        );
        said(&mut worker, "listening:").await;
        fs::remove_file(&program).expect("a file of ours");
        let id = root.published(intent_with("g", json!({"max_attempts": 1}))).await;
        if once {
            finish(worker).await.expect(6);
        } else {
            said(&mut worker, &format!("{id} g failed")).await;
            signal(&worker, Signal::TERM);
            finish(worker).await.expect(0);
        }
        let status = root.status(&id).await.expect(200);
        let error = json!("exit status: 127: ./greet: No such file or directory (os error 2)");
        assert_eq!((&status["status"], &status["last_error"]), (&json!("dead"), &error));
    }
}

#[tokio::test]
async fn a_worker_says_what_it_is_about_to_do() {
    let app = TestApp::spawn().await;
    let cli = Cli::of(&app);
    let arguments = ["listen", "a", "b", "--namespace", "images", "--drain", "--exec", "cat", "s3cr3t"];
    let ran = cli.run(&arguments).await;
    ran.expect(0);
    let told = format!(
        "listening: a, b in namespace images of {}, with the key of INTENT_API_KEY; each is run by cat\n",
        cli.url
    );
    assert_eq!(ran.complaint, told);
    // Whoever reads objects gets nothing else.
    let ran = cli.run(&["listen", "a", "--drain", "--json", "--exec", "cat"]).await;
    assert_eq!((ran.expect(0), ran.complaint.as_str()), ("", ""));
}

#[tokio::test]
async fn the_end_of_an_outage_is_told_once() {
    let claims = AtomicUsize::new(0);
    let url = answering(move |_| match claims.fetch_add(1, Ordering::Relaxed) {
        0..4 => http("503 Service Unavailable", "upstream"),
        _ => http("204 No Content", ""),
    })
    .await;
    let ran =
        Cli::at(url, "tk_nobody").run(&["listen", "a", "b", "--concurrency", "2", "--drain", "--exec", "true"]).await;
    ran.expect(0);
    let told: Vec<&str> = ran.complaint.lines().filter(|line| line.contains("works again")).collect();
    assert!(matches!(told[..], [line] if line.contains("after=")), "{}", ran.complaint);
}

#[tokio::test]
async fn a_result_that_the_bus_does_not_take_is_a_failure() {
    let app = TestApp::with(&[("BUS_MAX_PAYLOAD_BYTES", "1024")]).await;
    let (cli, root) = (Cli::of(&app), app.root());
    let id = root.published(intent_with("g", json!({"max_attempts": 1}))).await;
    let told = cli.run(&["listen", "g", "--once", "--json", "--exec", "printf", "%02000d", "0"]).await.json(6);
    assert_eq!(told["outcome"], "failed", "{told}");
    let status = root.status(&id).await.expect(200);
    let error = status["last_error"].as_str().expect("an error");
    assert!(error.starts_with("The bus does not take the result: 413"), "{error}");
}

#[tokio::test]
async fn every_run_is_told_in_json_if_asked() {
    let app = TestApp::spawn().await;
    let (cli, root) = (Cli::of(&app), app.root());
    let ids = root.published_many(&[intent_with("g", json!({"priority": 2})), intent("g"), intent("g")]).await;
    let ran =
        cli.run(&["listen", "g", "--json", "--drain", "--exec", "sh", "-c", "test ! -e first && touch first"]).await;
    ran.expect(6);
    let told: Vec<Value> = ran.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(told.len(), 3, "{told:?}");
    let failed = told.iter().filter(|line| line["outcome"] == "failed" && line["error"] == "exit status: 1").count();
    assert_eq!(failed, 2, "{told:?}");
    assert!(ids.iter().all(|id| told.iter().any(|line| line["id"] == **id && line["attempt"] == 1)), "{told:?}");
}

#[tokio::test]
async fn one_intent_is_all_that_is_taken_if_so_asked() {
    let app = TestApp::spawn().await;
    let (cli, root) = (Cli::of(&app), app.root());
    root.published_many(&[intent("a"), intent("a"), intent("b")]).await;
    cli.run(&["listen", "a", "b", "--once", "--exec", "true"]).await.expect(0);
    assert_eq!(app.db.count("finished").await, 1);
    assert_eq!(app.db.count("intents WHERE claim_attempts > 0").await, 0, "nothing else was claimed");
    cli.run(&["listen", "a", "b", "--drain", "--exec", "true"]).await.expect(0);
    assert_eq!(app.db.count("finished").await, 3);
}

#[tokio::test]
async fn as_many_programs_run_at_once_as_allowed() {
    let app = TestApp::spawn().await;
    let (cli, root) = (Cli::of(&app), app.root());
    root.published_many(&[intent("g"), intent("g"), intent("g"), intent("g")]).await;
    // Each waits until all four are there.
    let meet = "touch here-$INTENT_ID; until test $(ls here-* | wc -l) = 4; do sleep 0.01; done";
    let arguments = ["listen", "g", "--concurrency", "4", "--timeout", "30", "--drain", "--exec", "sh", "-c", meet];
    cli.run(&arguments).await.expect(0);
    assert_eq!(app.db.count("finished").await, 4);
}

#[tokio::test]
async fn the_lease_is_renewed_for_as_long_as_the_program_runs() {
    let app = TestApp::with(&[("BUS_CLAIM_TIMEOUT_SECONDS", "1")]).await;
    let (cli, root) = (Cli::of(&app), app.root());
    let id = root.published(intent_with("g", json!({"backoff_base": 1}))).await;
    let worker = cli.start(&["listen", "g", "--once", "--exec", "sh", "-c", "until test -e go; do sleep 0.02; done"]);
    // Of three lease lengths nobody else gets it. What is extended by 10 s, the least there is, would outlast them by itself:
    // so the end of the lease is looked at.
    let end = async || root.status(&id).await.expect(200)["claim_expires_at"].as_f64();
    let mut first = None;
    super::until("the lease is renewed", super::PATIENCE, async || {
        let now = end().await;
        first = first.or(now);
        now.zip(first).is_some_and(|(now, first)| now > first + 1.0)
    })
    .await;
    cli.put("go", "");
    finish(worker).await.expect(0);
    assert_eq!(result(&root, &id).await["claim_attempts"], 1);
}

#[tokio::test]
async fn a_worker_that_is_told_to_stop_ends_its_work_and_takes_no_more() {
    let app = TestApp::spawn().await;
    let (cli, root) = (Cli::of(&app), app.root());
    let first = root.published(intent_with("g", json!({"priority": 900}))).await;
    root.published(intent("g")).await;
    let program = "echo began > began; until test -e go; do sleep 0.02; done; echo '\"done\"'";
    let worker = cli.start(&["listen", "g", "--exec", "sh", "-c", program]);
    cli.written("began").await;
    signal(&worker, Signal::TERM);
    cli.put("go", "");
    finish(worker).await.expect(0);
    assert_eq!(result(&root, &first).await["result"], "done");
    assert_eq!(app.db.count("intents WHERE claim_attempts > 0").await, 0, "nothing else was claimed");
}

#[tokio::test]
async fn a_worker_for_one_intent_lets_it_come_to_its_end_when_it_is_told_to_stop() {
    let app = TestApp::spawn().await;
    let (cli, root) = (Cli::of(&app), app.root());
    let id = root.published(intent("g")).await;
    let program = "echo began > began; until test -e go; do sleep 0.02; done; echo '\"done\"'";
    let mut worker = cli.start(&["listen", "g", "--once", "--exec", "sh", "-c", program]);
    cli.written("began").await;
    stop(&mut worker).await;
    cli.put("go", "");
    finish(worker).await.expect(0);
    assert_eq!(result(&root, &id).await["result"], "done");
}

#[tokio::test]
async fn what_was_done_under_a_lost_lease_does_not_count_as_done() {
    let app = TestApp::spawn().await;
    let (cli, root) = (Cli::of(&app), app.root());
    let id = root.published(intent("g")).await;
    let program = "echo began > began; until test -e go; do sleep 0.02; done";
    let worker = cli.start(&["listen", "g", "--once", "--json", "--exec", "sh", "-c", program]);
    cli.written("began").await;
    app.db.end_lease_and_backoff(&id).await;
    assert_eq!(root.claim("g").await.expect(200)["id"], *id, "somebody else has it now");
    cli.put("go", "");
    let told = finish(worker).await.json(6);
    assert_eq!((&told["id"], &told["outcome"]), (&json!(id), &json!("lost")), "{told}");
}

#[tokio::test]
async fn a_shell_runs_for_own_private_intents_alone() {
    let app = TestApp::spawn().await;
    let (ada, eve) = (app.tenant("ada").await, app.tenant("eve").await);
    let cli = Cli::with_key(&app, ada.api_key());
    let private = ada.published(json!({"goal": "g", "payload": {"name": "ada"}})).await;
    let public = ada.published(intent_with("g", json!({"visibility": "public", "max_attempts": 1}))).await;
    let strange = eve.published(intent_with("g", json!({"visibility": "public"}))).await;
    let ran = cli.run(&["listen", "g", "--drain", "--shell", "tr a-z A-Z; echo $INTENT_ID >> ran"]).await;
    ran.expect(6);
    assert!(ran.complaint.contains("careful: a shell runs for every intent"), "{}", ran.complaint);
    assert_eq!(result(&ada, &private).await["result"], json!({"NAME": "ADA"}));
    assert_eq!(fs::read_to_string(cli.folder().join("ran")).expect("it ran"), format!("{private}\n"));
    let refused = ada.status(&public).await.expect(200);
    assert_eq!((&refused["status"], &refused["claim_attempts"]), (&json!("dead"), &json!(1)));
    assert_eq!(refused["last_error"], "This worker runs a shell, and takes no public intents.");
    assert_eq!(eve.status(&strange).await.expect(200)["claim_attempts"], 0, "a stranger's is not even claimed");
    // Without a shell it is worker's work like any other, unless only the own is wanted.
    cli.run(&["listen", "g", "--own", "--drain", "--exec", "cat"]).await.expect(0);
    assert_eq!(eve.status(&strange).await.expect(200)["claim_attempts"], 0);
    cli.run(&["listen", "g", "--drain", "--exec", "cat"]).await.expect(0);
    result(&eve, &strange).await;
}

#[tokio::test]
async fn a_worker_that_the_bus_refuses_ends_and_says_why() {
    let app = TestApp::spawn().await;
    let ran = Cli::with_key(&app, "tk_nobody").run(&["listen", "g", "--exec", "true"]).await;
    ran.expect(4);
    assert!(ran.complaint.contains("unknown, revoked or expired"), "{}", ran.complaint);
    Cli::of(&app).run(&["listen", "g"]).await.expect(2);
    Cli::of(&app).run(&["listen", "g", "--shell", "true", "--exec", "true"]).await.expect(2);
}
