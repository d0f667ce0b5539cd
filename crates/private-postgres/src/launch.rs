//! Starts one program of Postgres so that it ends with the guard, even if the guard is killed.
//!
//! On Linux the kernel can signal a process when its parent dies, but a process must ask for that itself, and Postgres
//! does not. So the guard starts its own executable once more as a launcher, already under Postgres's account (a later
//! change of account would undo the request); the launcher asks, then becomes the program by `exec`. Where that cannot
//! be had (no `/proc`, an executable that the account may not run, another system) the program is started directly, and
//! a server orphaned there is stopped by the next start on its folder.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Write},
    os::unix::process::{CommandExt, parent_id},
    path::PathBuf,
    process::{self, Child, Command, ExitCode, Stdio},
};

use crate::{account::Account, wire};

/// The first field of a launcher's orders.
pub(crate) const LAUNCH: &str = "launch";

/// A program to start.
pub(crate) struct Program<'a> {
    pub(crate) path: PathBuf,
    pub(crate) args: Vec<OsString>,
    pub(crate) account: Account,
    /// Where its output goes.
    pub(crate) log: &'a File,
}

impl Program<'_> {
    /// Starts it, tied to this thread's life where the system can.
    pub(crate) fn spawn(&self) -> io::Result<Child> {
        match self.spawn_tied() {
            Err(_) => self.command(self.path.as_os_str())?.args(&self.args).stdin(Stdio::null()).spawn(),
            tied => tied,
        }
    }

    fn spawn_tied(&self) -> io::Result<Child> {
        if !cfg!(target_os = "linux") {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let mut launcher =
            self.command("/proc/self/exe".as_ref())?.args(env::args_os().skip(1)).stdin(Stdio::piped()).spawn()?;
        let mut orders = vec![OsString::from(LAUNCH), process::id().to_string().into(), self.path.clone().into()];
        orders.extend(self.args.iter().cloned());
        if let Some(pipe) = launcher.stdin.take() {
            wire::write(pipe, &orders)?;
        }
        Ok(launcher)
    }

    /// The environment is not passed on: it may hold the bus's secrets, and `PG*` variables would change the server.
    fn command(&self, program: &OsStr) -> io::Result<Command> {
        let mut command = Command::new(program);
        command.env_clear();
        for name in ["PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"] {
            command.envs(env::var_os(name).map(|value| (name, value)));
        }
        // A named time zone also spares initdb a search through all of them, 150 ms of it.
        command.env("LC_ALL", "C").env("TZ", "UTC").current_dir("/");
        command.stdout(self.log.try_clone()?).stderr(self.log.try_clone()?);
        self.account.apply(&mut command);
        Ok(command)
    }
}

/// The launcher's side: never returns unless it fails. `orders` are those after [`LAUNCH`].
pub(crate) fn become_program(orders: &[OsString]) -> ExitCode {
    let [guard, program, args @ ..] = orders else {
        return ExitCode::FAILURE;
    };
    #[cfg(target_os = "linux")]
    if rustix::process::set_parent_process_death_signal(Some(ON_ORPHANED)).is_err() {
        return ExitCode::FAILURE;
    }
    // It may have died before the request was made.
    if guard.to_str().and_then(|text| text.parse().ok()) != Some(parent_id()) {
        return ExitCode::FAILURE;
    }
    let error = Command::new(program).args(args).stdin(Stdio::null()).exec();
    let _ = writeln!(io::stderr(), "{}: {error}", program.display());
    ExitCode::FAILURE
}

/// A fast shutdown to `postgres`, an abort to `initdb`: both clear up after themselves.
#[cfg(target_os = "linux")]
const ON_ORPHANED: rustix::process::Signal = rustix::process::Signal::INT;
