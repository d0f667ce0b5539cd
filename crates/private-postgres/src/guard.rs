//! The process between the caller and Postgres: outlives the caller just long enough to leave nothing behind.
//!
//! It is the caller's own executable under a hidden subcommand. It leads a process group of its own, so a Ctrl-C at the
//! terminal does not reach it, and holds Postgres as its child. Its standard input is a pipe from the caller; that the
//! pipe ends, for whatever reason, is the order to stop. A SIGTERM, SIGINT or SIGHUP is one too.
//!
//! If the guard itself is killed, Postgres shuts down at once (on Linux; see `launch`), and what is left on disk is
//! cleared away by the next start: temporary folders by any, a kept folder by the next one on it.

use std::{
    ffi::{OsStr, OsString},
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use crate::{
    Error,
    account::Account,
    cluster::Cluster,
    events::Events,
    folders::{Kept, Run},
    launch, wire,
};

/// The first field of the guard's orders.
pub(crate) const SERVE: &str = "serve";
/// The first field of its answer once Postgres takes connections: the socket's folder and the server's id follow.
pub(crate) const READY: &str = "ready";
/// The first field of its answer when there is no Postgres, or no longer: the reason follows.
pub(crate) const FAILED: &str = "failed";

/// What a guard is to do.
pub(crate) struct Orders {
    pub(crate) bin: OsString,
    pub(crate) major: u32,
    /// The kept folder; empty for ephemeral data.
    pub(crate) kept: OsString,
    /// Each `name=value`.
    pub(crate) settings: Vec<OsString>,
}

impl Orders {
    pub(crate) fn into_fields(self) -> Vec<OsString> {
        let mut fields = vec![SERVE.into(), self.bin, self.major.to_string().into(), self.kept];
        fields.extend(self.settings);
        fields
    }

    fn from_fields(fields: &[OsString]) -> Option<Self> {
        let [bin, major, kept, settings @ ..] = fields else {
            return None;
        };
        let major = major.to_str()?.parse().ok()?;
        Some(Self { bin: bin.clone(), major, kept: kept.clone(), settings: settings.to_vec() })
    }
}

/// The whole of the hidden subcommand: call it first thing, before any thread, runtime or configuration, and return
/// what it returns. It takes its orders from standard input and answers on standard output.
#[must_use]
pub fn run() -> ExitCode {
    let orders = wire::read(io::stdin().lock()).ok().flatten().unwrap_or_default();
    match orders.split_first() {
        Some((word, rest)) if word == launch::LAUNCH => launch::become_program(rest),
        Some((word, rest)) if word == SERVE => match Orders::from_fields(rest).map(|orders| serve(&orders)) {
            Some(Ok(())) => ExitCode::SUCCESS,
            Some(Err(error)) => {
                answer(&[OsStr::new(FAILED), error.to_string().as_ref()]);
                ExitCode::FAILURE
            }
            None => misused(),
        },
        _ => misused(),
    }
}

fn misused() -> ExitCode {
    let _ = writeln!(io::stderr(), "this command is for intent-bus itself; it takes its orders from standard input");
    ExitCode::from(2)
}

/// From the first folder to the last: everything made here is gone when it returns, but for a kept folder's data.
fn serve(orders: &Orders) -> Result<(), Error> {
    // So that `killall -9 intent-bus` leaves the one that clears up.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::set_name(c"postgres-guard");
    let events = Events::listen()?;
    let kept = (!orders.kept.is_empty()).then(|| Kept::open(Path::new(&orders.kept))).transpose()?;
    let account = Account::choose(kept.as_ref().map(|kept| kept.folder().join("pgdata")).as_deref())?;
    if let Some(kept) = &kept {
        account.check_reach(kept.folder())?;
    }
    let run = Run::create(account)?;
    let cluster = Cluster {
        bin: Path::new(&orders.bin),
        major: orders.major,
        home: kept.as_ref().map_or(run.path(), Kept::folder),
        run: run.path(),
        account,
        events: &events,
    };
    cluster.prepare()?;
    let server = cluster.start(&orders.settings)?;
    answer(&[OsStr::new(READY), run.path().as_os_str(), server.id().to_string().as_ref()]);
    server.serve()
}

/// A caller that is gone cannot hear it; the end of standard input says so soon enough.
fn answer(fields: &[&OsStr]) {
    let _ = wire::write(io::stdout().lock(), fields);
}
