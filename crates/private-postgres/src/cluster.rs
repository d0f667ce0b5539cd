//! One Postgres: `initdb`, the server's arguments, the wait until it is ready, and the clean-up if it was killed.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    os::unix::{fs::OpenOptionsExt, process::ExitStatusExt},
    path::{Path, PathBuf},
    process::ExitStatus,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::{
    Error, USER,
    account::Account,
    events::{Event, Events},
    launch::Program,
    pidfile::{self, PidFile},
    process::{Escalation, Process, Waited},
};

/// Fast shutdown (ends sessions, keeps data), immediate shutdown (the next start recovers), the kernel's.
pub(crate) const STOP_SERVER: Escalation = &[
    (Signal::INT, Duration::from_secs(10)),
    (Signal::QUIT, Duration::from_secs(5)),
    (Signal::KILL, Duration::from_secs(5)),
];

/// `initdb` has nothing to lose: what it made is thrown away.
const STOP_INITDB: Escalation = &[(Signal::TERM, Duration::from_secs(2)), (Signal::KILL, Duration::from_secs(2))];

/// For `initdb`, and for a start that may have to recover from a crash first. Seconds.
const PATIENCE: u64 = 120;

/// What a server is made of.
pub(crate) struct Cluster<'a> {
    pub(crate) bin: &'a Path,
    pub(crate) major: u32,
    /// Holds `pgdata`.
    pub(crate) home: &'a Path,
    /// Holds the socket and the log.
    pub(crate) run: &'a Path,
    pub(crate) account: Account,
    pub(crate) events: &'a Events,
}

impl<'a> Cluster<'a> {
    fn pgdata(&self) -> PathBuf {
        self.home.join("pgdata")
    }

    fn log_path(&self) -> PathBuf {
        self.run.join("postgres.log")
    }

    fn log(&self) -> Result<File, Error> {
        let path = self.log_path();
        let mut options = OpenOptions::new();
        options
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&path)
            .map_err(Error::io(format!("writing {}", path.display())))
    }

    /// Makes the data, unless it is there; then only checks whose it is.
    pub(crate) fn prepare(&self) -> Result<(), Error> {
        let pgdata = self.pgdata();
        if !pgdata.exists() {
            return self.initdb(&pgdata);
        }
        let version = pgdata.join("PG_VERSION");
        let made_by = fs::read_to_string(&version).map_err(Error::io(format!("reading {}", version.display())))?;
        if made_by.trim() != self.major.to_string() {
            let made_by = made_by.trim().to_owned();
            return Err(Error::OtherVersion { folder: self.home.to_owned(), made_by, found: self.major });
        }
        pidfile::reclaim(&pgdata)
    }

    /// Into a folder beside it that is renamed at the end, so that an `initdb` cut short never counts.
    fn initdb(&self, pgdata: &Path) -> Result<(), Error> {
        let fresh = Unfinished(self.home.join("pgdata.new"));
        fresh.clear()?;
        let tell = || Error::io(format!("making {}", fresh.0.display()));
        fs::create_dir(&fresh.0).map_err(tell())?;
        self.account.own(&fresh.0)?;
        let flags = ["--no-sync", "--no-clean", "--no-instructions", "--encoding=UTF8", "--locale=C"];
        let access = ["--auth-local=trust".to_owned(), "--auth-host=reject".to_owned(), format!("--username={USER}")];
        let mut args: Vec<OsString> = flags.iter().map(OsString::from).chain(access.map(OsString::from)).collect();
        args.extend(["-D".into(), fresh.0.clone().into()]);
        let mut process = self.spawn("initdb", args, STOP_INITDB)?;
        let deadline = Instant::now() + Duration::from_secs(PATIENCE);
        match process.wait(Some(deadline)).map_err(Error::io("waiting for initdb"))? {
            Waited::Ended(status) if status.success() => fs::rename(&fresh.0, pgdata).map_err(tell()),
            Waited::Ended(status) => Err(self.died("initdb", status)),
            Waited::TimedOut => Err(self.too_slow("initdb")),
            Waited::Stopped => Err(Error::Interrupted),
        }
    }

    /// Starts the server and waits until it takes connections.
    pub(crate) fn start(&self, settings: &[OsString]) -> Result<Server<'_>, Error> {
        let fixed = [
            OsString::from("listen_addresses="),
            format!("unix_socket_directories={}", self.run.display()).into(),
            "port=5432".into(),
            // By default these are files in /dev/shm, which a server that is killed leaves there for good; this puts
            // them into the data folder.
            "dynamic_shared_memory_type=mmap".into(),
        ];
        let mut args = vec![OsString::from("-D"), self.pgdata().into()];
        // Last, so that no setting opens the server to the network or moves the socket.
        for setting in settings.iter().chain(&fixed) {
            args.extend(["-c".into(), setting.clone()]);
        }
        let process = self.spawn("postgres", args, STOP_SERVER)?;
        let mut server = Server { cluster: self, process };
        let deadline = Instant::now() + Duration::from_secs(PATIENCE);
        while !server.is_ready() {
            if let Some(status) = server.ended()? {
                return Err(self.died("postgres", status));
            }
            if Instant::now() > deadline {
                return Err(self.too_slow("postgres"));
            }
            if self.events.wait(Duration::from_millis(5)) == Event::Stop {
                return Err(Error::Interrupted);
            }
        }
        Ok(server)
    }

    fn spawn(&self, program: &str, args: Vec<OsString>, escalation: Escalation) -> Result<Process<'a>, Error> {
        let path = self.bin.join(program);
        let tell = Error::io(format!("starting {}", path.display()));
        let program = Program { path, args, account: self.account, log: &self.log()? };
        Ok(Process::new(program.spawn().map_err(tell)?, self.events, escalation))
    }

    fn died(&self, program: &'static str, status: ExitStatus) -> Error {
        Error::Died { program, status: status.to_string(), log: self.log_tail() }
    }

    fn too_slow(&self, program: &'static str) -> Error {
        Error::TooSlow { program, seconds: PATIENCE, log: self.log_tail() }
    }

    fn log_tail(&self) -> String {
        let log = fs::read(self.log_path()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<_> = log.lines().collect();
        lines.get(lines.len().saturating_sub(20)..).unwrap_or_default().join("\n")
    }
}

/// A server that takes connections; stopped when dropped.
pub(crate) struct Server<'a> {
    cluster: &'a Cluster<'a>,
    process: Process<'a>,
}

impl Server<'_> {
    fn is_ready(&self) -> bool {
        let file = PidFile::read(&self.cluster.pgdata());
        file.is_some_and(|file| file.ready && u32::try_from(file.pid) == Ok(self.id()))
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    fn ended(&mut self) -> Result<Option<ExitStatus>, Error> {
        self.process.ended().map_err(Error::io("looking after postgres"))
    }

    /// Returns once told to stop; an end of the server's own is an error.
    pub(crate) fn serve(mut self) -> Result<(), Error> {
        match self.process.wait(None).map_err(Error::io("looking after postgres"))? {
            Waited::Ended(status) => Err(self.cluster.died("postgres", status)),
            Waited::Stopped | Waited::TimedOut => Ok(()),
        }
    }
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        let file = PidFile::read(&self.cluster.pgdata());
        self.process.stop();
        let killed = matches!(self.process.ended(), Ok(Some(status)) if status.signal().is_some());
        if let Some(file) = file.filter(|_| killed) {
            file.release_shared_memory();
        }
    }
}

/// The folder of an `initdb` that has not ended yet.
struct Unfinished(PathBuf);

impl Unfinished {
    fn clear(&self) -> Result<(), Error> {
        if !self.0.exists() {
            return Ok(());
        }
        // The single-user server that initdb runs sees the end of its input, and takes a moment to leave.
        pidfile::reclaim(&self.0)?;
        fs::remove_dir_all(&self.0).map_err(Error::io(format!("removing {}", self.0.display())))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let _ = self.clear();
    }
}
