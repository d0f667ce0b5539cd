//! Starting servers, here or in another process that can be killed, and looking for what is left of them.

use std::{
    error::Error,
    fs,
    io::{BufRead, BufReader},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use private_postgres::{Binaries, Data, Guard, Options, PrivatePostgres};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, geteuid, kill_process, kill_process_group, pidfd_open},
};
use tempfile::TempDir;

pub(crate) type Outcome<T = ()> = Result<T, Box<dyn Error>>;

pub(crate) const CALLER: &str = env!("CARGO_BIN_EXE_private-postgres-test-caller");

pub(crate) fn options(data: Data) -> Options {
    Options::new(data, Guard { program: CALLER.into(), args: vec!["guard".into()] })
}

pub(crate) fn start(data: Data) -> Outcome<PrivatePostgres> {
    Ok(PrivatePostgres::start(Options { durable: false, ..options(data) })?)
}

/// The message of a start that must fail.
pub(crate) fn refusal(options: Options) -> Outcome<String> {
    match PrivatePostgres::start(options) {
        Ok(_) => Err("it started".into()),
        Err(error) => Ok(error.to_string()),
    }
}

pub(crate) fn psql(binaries: &Binaries, url: &str, sql: &str) -> Outcome<String> {
    // A port in the environment must not lead the client elsewhere.
    let output = Command::new(binaries.dir.join("psql")).args(["-XtAc", sql, url]).env("PGPORT", "1").output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

pub(crate) fn is_root() -> bool {
    geteuid().is_root()
}

/// A folder that every account may enter, for kept data and as a temporary folder of a caller's own. `TMPDIR=/dev/shm`
/// makes the whole suite several times as fast where the disk is slow to make and remove files.
pub(crate) fn open_folder() -> Outcome<TempDir> {
    let folder = tempfile::tempdir()?;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
    Ok(folder)
}

/// Another process that holds a server.
pub(crate) struct Caller {
    pub(crate) process: Child,
    pub(crate) guard: u32,
    pub(crate) server: u32,
    pub(crate) socket_dir: PathBuf,
    url: String,
}

/// The command that makes one, with `scratch` as its temporary folder and in a process group of its own.
pub(crate) fn caller(program: impl AsRef<Path>, what: &[&str], scratch: &Path) -> Command {
    let mut command = Command::new(program.as_ref());
    command.args(what).env("TMPDIR", scratch).env("HOME", scratch).process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

impl Caller {
    pub(crate) fn hold(data: &str, scratch: &Path) -> Outcome<Self> {
        Self::of(caller(CALLER, &["hold", data], scratch))
    }

    pub(crate) fn of(mut command: Command) -> Outcome<Self> {
        let mut process = command.spawn()?;
        let lines = BufReader::new(process.stdout.take().ok_or("no stdout")?).lines();
        let lines: Vec<String> = lines.take(4).collect::<Result<_, _>>()?;
        let [guard, server, socket_dir, url] = lines.as_slice() else {
            process.wait()?;
            return Err(lines.join("\n").into());
        };
        let (guard, server) = (guard.parse()?, server.parse()?);
        Ok(Self { process, guard, server, socket_dir: socket_dir.into(), url: url.clone() })
    }

    /// One value from its server.
    pub(crate) fn ask(&self, sql: &str) -> Outcome<String> {
        let server = fs::read_link(format!("/proc/{}/exe", self.server))?;
        let dir = server.parent().ok_or("no folder")?.to_owned();
        psql(&Binaries { dir, version: String::new(), major: 0 }, &self.url, sql)
    }

    /// Ends it by closing its standard input.
    pub(crate) fn finish(mut self) -> Outcome {
        drop(self.process.stdin.take());
        let status = self.process.wait()?;
        if status.success() { Ok(()) } else { Err(status.to_string().into()) }
    }

    /// `kill -9` to it and its whole process group, as a terminal or a test runner would.
    pub(crate) fn kill(&mut self) -> Outcome {
        kill_process_group(pid(self.process.id())?, Signal::KILL)?;
        self.process.wait()?;
        Ok(())
    }
}

pub(crate) fn pid(id: u32) -> Outcome<Pid> {
    Ok(Pid::from_raw(id.try_into()?).ok_or("no process id")?)
}

pub(crate) fn signal(id: u32, signal: Signal) -> Outcome {
    Ok(kill_process(pid(id)?, signal)?)
}

/// A process whose end can be waited for although it is no child of ours.
pub(crate) struct Watched(rustix::fd::OwnedFd);

impl Watched {
    pub(crate) fn new(id: u32) -> Outcome<Self> {
        Ok(Self(pidfd_open(pid(id)?, PidfdFlags::empty())?))
    }

    pub(crate) fn wait_gone(&self) -> Outcome {
        let patience = Timespec { tv_sec: 20, tv_nsec: 0 };
        match poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&patience))? {
            0 => Err("still there after 20 s".into()),
            _ => Ok(()),
        }
    }
}

/// Checks again and again, for what no signal tells.
pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) -> Outcome {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !done() {
        if Instant::now() > deadline {
            return Err(format!("not within 20 s: {what}").into());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// The children of a process.
pub(crate) fn children(parent: u32) -> Vec<u32> {
    let is_child = |id: &u32| {
        fs::read_to_string(format!("/proc/{id}/status"))
            .is_ok_and(|status| status.lines().any(|line| line == format!("PPid:\t{parent}")))
    };
    processes().into_iter().filter(is_child).collect()
}

/// Processes that have `folder`, or one below it, as their current one: Postgres and all its children do. A zombie
/// has none.
pub(crate) fn working_in(folder: &Path) -> Vec<u32> {
    let inside = |id: &u32| fs::read_link(format!("/proc/{id}/cwd")).is_ok_and(|cwd| cwd.starts_with(folder));
    processes().into_iter().filter(inside).collect()
}

fn processes() -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// System V shared memory made by a process.
pub(crate) fn shared_memory_of(server: u32) -> Outcome<usize> {
    let table = fs::read_to_string("/proc/sysvipc/shm")?;
    Ok(table.lines().filter(|line| line.split_whitespace().nth(4) == Some(&server.to_string())).count())
}

/// What is left in a folder.
pub(crate) fn names_in(folder: &Path) -> Outcome<Vec<String>> {
    let names = fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    names.collect()
}
