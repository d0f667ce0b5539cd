//! Data that is kept: from one start to the next, after a kill, and never under two servers.

use std::{fs, os::unix::fs::PermissionsExt};

use private_postgres::{Data, PrivatePostgres};

use crate::support::{Caller, Outcome, is_root, names_in, open_folder, options, psql, refusal, start, working_in};

fn ask(server: &PrivatePostgres, sql: &str) -> Outcome<String> {
    psql(server.binaries(), &server.url("postgres"), sql)
}

#[test]
fn kept_data_is_there_at_the_next_start() -> Outcome {
    let scratch = open_folder()?;
    let data = scratch.path().join("some/new/folder");
    let server = start(Data::Kept(data.clone()))?;
    ask(&server, "create table kept as select 42 as answer")?;
    server.stop()?;
    assert_eq!(working_in(&data), []);
    assert!(!data.join("pgdata/postmaster.pid").exists());
    let server = start(Data::Kept(data))?;
    assert_eq!(ask(&server, "select answer from kept")?, "42");
    server.stop()?;
    Ok(())
}

#[test]
fn kept_data_survives_a_kill_and_the_next_start_need_not_wait() -> Outcome {
    let scratch = open_folder()?;
    let data = scratch.path().join("data");
    let mut held = Caller::hold(&data.to_string_lossy(), scratch.path())?;
    held.ask("create table kept as select 42 as answer")?;
    held.kill()?;
    // The old guard is still at work now.
    let server = start(Data::Kept(data))?;
    assert_eq!(ask(&server, "select answer from kept")?, "42");
    server.stop()?;
    Ok(())
}

#[test]
fn a_second_start_on_the_same_folder_is_refused_and_names_the_first() -> Outcome {
    let scratch = open_folder()?;
    let data = scratch.path().join("data");
    let held = Caller::hold(&data.to_string_lossy(), scratch.path())?;
    let why = refusal(options(Data::Kept(data)))?;
    assert!(why.contains(&format!("already in use by pid {}", held.process.id())), "{why}");
    held.finish()
}

#[test]
fn a_pid_file_left_by_a_crash_does_not_hinder() -> Outcome {
    let scratch = open_folder()?;
    let data = scratch.path().join("data");
    start(Data::Kept(data.clone()))?.stop()?;
    // The id now belongs to a process of the same account, which Postgres alone would take for the server.
    let other = start(Data::Ephemeral)?;
    let left = format!("{}\n{}/pgdata\n1\n5432\n/tmp/gone\n\n 12345 999\nready\n", other.server_pid(), data.display());
    fs::write(data.join("pgdata/postmaster.pid"), left)?;
    let server = start(Data::Kept(data))?;
    assert_eq!((ask(&server, "select 1")?, ask(&other, "select 2")?), ("1".to_owned(), "2".to_owned()));
    Ok(())
}

#[test]
fn an_initdb_cut_short_is_done_again() -> Outcome {
    let scratch = open_folder()?;
    let data = scratch.path().join("data");
    fs::create_dir_all(data.join("pgdata.new/base"))?;
    fs::write(data.join("pgdata.new/PG_VERSION"), "15\n")?;
    let server = start(Data::Kept(data.clone()))?;
    assert_eq!(ask(&server, "select 1")?, "1");
    server.stop()?;
    let mut names = names_in(&data)?;
    names.sort();
    assert_eq!(names, ["guard.lock", "pgdata"]);
    Ok(())
}

#[test]
fn data_of_another_major_version_is_refused_and_left_alone() -> Outcome {
    let scratch = open_folder()?;
    let data = scratch.path().join("data");
    fs::create_dir_all(data.join("pgdata/global"))?;
    fs::write(data.join("pgdata/PG_VERSION"), "14\n")?;
    let why = refusal(options(Data::Kept(data.clone())))?;
    assert!(why.contains("made by Postgres 14") && why.contains("BUS_PG_BIN"), "{why}");
    assert!(data.join("pgdata/global").exists());
    Ok(())
}

#[test]
fn a_folder_of_somebody_elses_things_is_refused_and_left_alone() -> Outcome {
    let scratch = open_folder()?;
    fs::write(scratch.path().join("PG_VERSION"), "15\n")?;
    let why = refusal(options(Data::Kept(scratch.path().to_owned())))?;
    assert!(why.contains("neither empty nor"), "{why}");
    assert_eq!(names_in(scratch.path())?, ["PG_VERSION"]);
    Ok(())
}

#[test]
fn as_root_a_folder_that_postgres_cannot_reach_is_named() -> Outcome {
    if !is_root() {
        return Ok(());
    }
    let scratch = open_folder()?;
    let closed = scratch.path().join("closed");
    fs::create_dir(&closed)?;
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700))?;
    let why = refusal(options(Data::Kept(closed.join("data"))))?;
    assert!(why.contains(&format!("may not enter {}", closed.display())), "{why}");
    Ok(())
}
