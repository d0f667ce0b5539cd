//! Nothing stays behind, whoever is killed and whenever.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use private_postgres::Data;
use rustix::process::Signal;

use crate::support::{
    CALLER, Caller, Outcome, Watched, caller, children, is_root, names_in, open_folder, shared_memory_of, signal,
    start, until, working_in,
};

fn nothing_left(held: &Caller, scratch: &Path) -> Outcome {
    assert_eq!(working_in(scratch), [], "processes");
    assert_eq!(shared_memory_of(held.server)?, 0, "shared memory");
    assert!(names_in(scratch)?.is_empty(), "left: {:?}", names_in(scratch)?);
    Ok(())
}

#[test]
fn the_caller_killed_with_its_process_group_leaves_nothing() -> Outcome {
    let scratch = open_folder()?;
    let mut held = Caller::hold("ephemeral", scratch.path())?;
    let (guard, server) = (Watched::new(held.guard)?, Watched::new(held.server)?);
    assert!(held.socket_dir.starts_with(scratch.path()));
    held.kill()?;
    guard.wait_gone()?;
    server.wait_gone()?;
    nothing_left(&held, scratch.path())
}

#[test]
fn the_caller_killed_during_initdb_leaves_nothing() -> Outcome {
    let scratch = open_folder()?;
    let data = scratch.path().join("data");
    let mut process = caller(CALLER, &["hold", &data.to_string_lossy()], scratch.path()).spawn()?;
    until("initdb is at work", || data.join("pgdata.new/base/1").exists())?;
    let [guard] = children(process.id())[..] else {
        return Err("one guard".into());
    };
    let guard = Watched::new(guard)?;
    process.kill()?;
    process.wait()?;
    guard.wait_gone()?;
    assert_eq!(working_in(scratch.path()), []);
    assert_eq!(names_in(scratch.path())?, ["data"]);
    assert_eq!(names_in(&data)?, ["guard.lock"]);
    Ok(())
}

#[test]
fn a_guard_told_to_end_clears_up_first() -> Outcome {
    let scratch = open_folder()?;
    let held = Caller::hold("ephemeral", scratch.path())?;
    let guard = Watched::new(held.guard)?;
    signal(held.guard, Signal::TERM)?;
    guard.wait_gone()?;
    nothing_left(&held, scratch.path())?;
    held.finish()
}

#[test]
fn a_killed_guard_takes_postgres_along_and_the_next_start_clears_up() -> Outcome {
    let scratch = open_folder()?;
    let mut held = Caller::hold("ephemeral", scratch.path())?;
    let (guard, server) = (Watched::new(held.guard)?, Watched::new(held.server)?);
    signal(held.guard, Signal::KILL)?;
    held.kill()?;
    guard.wait_gone()?;
    server.wait_gone()?;
    assert_eq!((working_in(scratch.path()), shared_memory_of(held.server)?), (vec![], 0));

    let next = Caller::hold("ephemeral", scratch.path())?;
    assert!(!held.socket_dir.exists() && next.socket_dir.exists());
    next.finish()?;
    nothing_left(&held, scratch.path())
}

#[test]
fn a_guard_and_its_server_killed_at_once_are_cleared_up_by_the_next_start() -> Outcome {
    let scratch = open_folder()?;
    let mut held = Caller::hold("ephemeral", scratch.path())?;
    let server = Watched::new(held.server)?;
    signal(held.server, Signal::STOP)?;
    signal(held.guard, Signal::KILL)?;
    signal(held.server, Signal::KILL)?;
    held.kill()?;
    server.wait_gone()?;
    Caller::hold("ephemeral", scratch.path())?.finish()?;
    nothing_left(&held, scratch.path())
}

#[test]
fn a_server_that_dies_by_itself_is_cleared_up_after_and_reported() -> Outcome {
    let server = start(Data::Ephemeral)?;
    let (run, pid) = (server.socket_dir().to_owned(), server.server_pid());
    let guard = Watched::new(server.guard_pid())?;
    signal(pid, Signal::KILL)?;
    guard.wait_gone()?;
    assert!(!run.exists());
    assert_eq!((working_in(&run), shared_memory_of(pid)?), (vec![], 0));
    let Err(error) = server.stop() else {
        return Err("no word of it".into());
    };
    assert!(error.to_string().contains("postgres ended with signal: 9"), "{error}");
    Ok(())
}

#[test]
fn a_server_orphaned_where_the_kernel_does_not_help_is_stopped_by_the_next_start() -> Outcome {
    if !is_root() {
        return Ok(());
    }
    // An executable that Postgres's account may not run cannot be its launcher.
    let scratch = open_folder()?;
    let program = scratch.path().join("program");
    fs::copy(CALLER, &program)?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700))?;
    let data = scratch.path().join("data");
    let what = ["hold", &data.to_string_lossy()];
    let mut held = Caller::of(caller(&program, &what, scratch.path()))?;
    let guard = Watched::new(held.guard)?;
    signal(held.guard, Signal::KILL)?;
    held.kill()?;
    guard.wait_gone()?;
    assert_ne!(working_in(&data), []);

    let orphan = Watched::new(held.server)?;
    let next = Caller::of(caller(&program, &what, scratch.path()))?;
    orphan.wait_gone()?;
    assert_eq!(next.ask("select 1")?, "1");
    next.finish()
}
