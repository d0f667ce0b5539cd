//! What shells and readers of manuals get.

use std::{fs, process::Command};

use super::Cli;

/// All commands that are not hidden.
const COMMANDS: [&str; 11] =
    ["publish", "listen", "status", "result", "get", "set", "keys", "dead", "doctor", "completions", "man"];

fn nowhere() -> Cli {
    Cli::at("http://127.0.0.1:1".to_owned(), "tk_nobody")
}

#[tokio::test]
async fn every_shell_gets_a_script_that_knows_the_commands() {
    let cli = nowhere();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = cli.run(&["completions", shell]).await;
        let script = ran.expect(0);
        for command in COMMANDS {
            assert!(script.contains(command), "{shell} lacks {command}");
        }
        if shell == "bash" {
            cli.put("script", script);
            let checked = Command::new("bash").arg("-n").arg(cli.folder().join("script")).output().expect("bash");
            assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
        }
    }
    cli.run(&["completions", "cmd"]).await.expect(2);
}

#[tokio::test]
async fn every_command_has_a_man_page_and_help_with_the_exit_statuses() {
    let cli = nowhere();
    cli.run(&["man", "--output", "."]).await.expect(0);
    for command in COMMANDS {
        let page = cli.run(&["man", command]).await.expect(0).to_owned();
        assert!(page.contains(".SH NAME") && page.contains(&format!("intent\\-bus\\-{command}")), "{page}");
        let file = cli.folder().join(format!("intent-bus-{command}.1"));
        assert!(fs::read_to_string(&file).expect("a page").contains(".SH SYNOPSIS"), "{command}");
        let help = cli.run(&[command, "--help"]).await.expect(0).to_owned();
        let local = ["completions", "man"].contains(&command);
        assert!(local || help.contains("7  the intent is not finished yet"), "{help}");
    }
    assert!(cli.run(&["man"]).await.expect(0).contains(".SH SUBCOMMANDS"));
    cli.run(&["man", "nothing"]).await.expect(2);
    // As a reader of manuals would ask for it, and as it is called.
    let page = cli.run(&["man", "keys-create"]).await.expect(0).to_owned();
    assert!(page.contains("intent\\-bus\\-keys\\-create") && page.contains("\\-\\-expires\\-in"), "{page}");
    assert_eq!(cli.run(&["man", "keys", "create"]).await.expect(0), page);
    assert!(!cli.run(&["--help"]).await.expect(0).contains("guard"), "what is hidden stays hidden");
}

#[tokio::test]
async fn colour_is_for_terminals_alone() {
    let cli = nowhere();
    let plain = cli.run(&["doctor"]).await;
    assert!(!plain.out.contains('\u{1b}'), "{}", plain.out);
    let forced = cli.command(&["doctor"]).env("CLICOLOR_FORCE", "1").spawn().expect("the binary starts");
    assert!(super::finish(forced).await.out.contains('\u{1b}'));
    let refused = cli.command(&["doctor"]).env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1").spawn().expect("it starts");
    assert!(!super::finish(refused).await.out.contains('\u{1b}'));
}
