//! Starting, using and stopping, as root and as somebody else.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
};

use private_postgres::{Data, Guard, Options, PrivatePostgres};

use crate::support::{
    CALLER, Caller, Outcome, Watched, caller, is_root, names_in, open_folder, options, psql, refusal, shared_memory_of,
    start, working_in,
};

#[test]
fn an_ephemeral_server_answers_and_leaves_nothing() -> Outcome {
    let server = start(Data::Ephemeral)?;
    assert_eq!(psql(server.binaries(), &server.url("postgres"), "select 1")?, "1");
    assert_eq!(psql(server.binaries(), &server.connection_string("postgres"), "select current_user")?, "intent_bus");
    assert_eq!(shared_memory_of(server.server_pid())?, 1);
    let maps = fs::read_to_string(format!("/proc/{}/maps", server.server_pid()))?;
    assert!(maps.contains("/pg_dynshmem/mmap.") && !maps.contains("/dev/shm/PostgreSQL"), "{maps}");
    let (run, pid) = (server.socket_dir().to_owned(), server.server_pid());
    assert!(!working_in(&run).is_empty());
    server.stop()?;
    assert!(!run.exists());
    assert_eq!((working_in(&run), shared_memory_of(pid)?), (vec![], 0));
    Ok(())
}

#[test]
fn dropping_a_server_stops_it() -> Outcome {
    let server = start(Data::Ephemeral)?;
    let (guard, run) = (Watched::new(server.guard_pid())?, server.socket_dir().to_owned());
    drop(server);
    guard.wait_gone()?;
    assert!(!run.exists());
    Ok(())
}

#[test]
fn as_root_postgres_has_neither_roots_id_nor_its_groups() -> Outcome {
    if !is_root() {
        return Ok(());
    }
    let server = start(Data::Ephemeral)?;
    let status = fs::read_to_string(format!("/proc/{}/status", server.server_pid()))?;
    let line = |name| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    assert!(line("Uid:").split_whitespace().all(|uid| uid != "0"), "{status}");
    assert!(line("Gid:").split_whitespace().all(|gid| gid != "0"), "{status}");
    assert_eq!(line("Groups:").trim(), "");
    assert_eq!(fs::metadata(server.socket_dir())?.permissions().mode() & 0o777, 0o700);
    Ok(())
}

#[test]
fn a_user_who_is_not_root_needs_no_preparation() -> Outcome {
    let scratch = open_folder()?;
    fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o777))?;
    let program = scratch.path().join("program");
    fs::copy(CALLER, &program)?;
    let data = scratch.path().join("some/new/folder");
    let mut command = caller(&program, &["hold", &data.to_string_lossy()], scratch.path());
    if is_root() {
        // nobody: `initdb` wants a user that /etc/passwd knows.
        command.uid(65534).gid(65534);
    }
    let held = Caller::of(command)?;
    // Root gets to the socket of anybody.
    assert_eq!(held.ask("select 1")?, "1");
    let guard = Watched::new(held.guard)?;
    held.finish()?;
    guard.wait_gone()?;
    let mut left = names_in(scratch.path())?;
    left.sort();
    assert_eq!(left, ["program", "some"]);
    Ok(())
}

#[test]
fn settings_reach_the_server_but_do_not_open_it_to_the_network() -> Outcome {
    let settings =
        [("max_connections", "17"), ("listen_addresses", "*"), ("port", "5999"), ("application_name", "a 'b'")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let server = PrivatePostgres::start(Options { settings, ..options(Data::Ephemeral) })?;
    let show = |name: &str| psql(server.binaries(), &server.url("postgres"), &format!("show {name}"));
    assert_eq!(show("max_connections")?, "17");
    assert_eq!(show("listen_addresses")?, "");
    assert_eq!(show("port")?, "5432");
    assert_eq!((show("fsync")?, show("server_encoding")?), ("on".to_owned(), "UTF8".to_owned()));
    Ok(())
}

#[test]
fn a_database_name_needs_no_quoting_by_the_caller() -> Outcome {
    let server = start(Data::Ephemeral)?;
    let name = r"it's 50% \o/";
    psql(server.binaries(), &server.url("postgres"), &format!(r#"create database "{name}""#))?;
    for target in [server.url(name), server.connection_string(name)] {
        assert_eq!(psql(server.binaries(), &target, "select current_database()")?, name);
    }
    Ok(())
}

#[test]
fn a_server_that_will_not_start_says_why_and_leaves_nothing() -> Outcome {
    let scratch = open_folder()?;
    let kept = Data::Kept(scratch.path().join("data"));
    let settings = vec![("max_connections".to_owned(), "many".to_owned())];
    let why = refusal(Options { settings, ..options(kept) })?;
    assert!(why.contains("postgres ended with") && why.contains(r#""max_connections": "many""#), "{why}");
    assert_eq!(working_in(scratch.path()), []);
    Ok(())
}

#[test]
fn an_executable_that_is_no_guard_is_told_apart() -> Outcome {
    for (program, args, said) in [("/bin/sh", vec!["-c", "echo usage >&2"], "usage"), ("/bin/none", vec![], "No such")]
    {
        let guard = Guard { program: program.into(), args: args.into_iter().map(Into::into).collect() };
        let why = refusal(Options::new(Data::Ephemeral, guard))?;
        assert!(why.contains(program) && why.contains(said), "{why}");
    }
    Ok(())
}
