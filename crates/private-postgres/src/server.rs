//! A running server as its caller sees it: start, how to connect, stop. What can be chosen is in `options`.

use std::{
    ffi::OsString,
    fmt::Write as _,
    fs,
    io::{BufReader, Read},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use crate::{
    Binaries, Error, Fetch, Guard, Options,
    binaries::Search,
    fetch,
    guard::{FAILED, READY},
    wire,
};

/// The database role that owns everything. There is no password: only the owner of the socket's folder gets to it.
pub const USER: &str = "intent_bus";

/// A running server. Dropping it stops it and waits until it is gone, as [`stop`](Self::stop) does.
#[derive(Debug)]
pub struct PrivatePostgres {
    binaries: Binaries,
    socket_dir: PathBuf,
    server_pid: u32,
    program: PathBuf,
    guard: Child,
    /// Held open: its end is the guard's order to stop. Close-on-exec, as all of std's pipes, so no other child of this
    /// process can hold it open by accident.
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl PrivatePostgres {
    /// Starts a server and returns once it takes connections. Blocks, for about a second where the data must be made
    /// first, and for as long as the download takes where that is needed.
    pub fn start(options: Options) -> Result<Self, Error> {
        let binaries = match Search::of_this_machine().run() {
            Err(Error::NoPostgres { .. }) if options.fetch == Fetch::Allowed => {
                fetch::fetch_into(&fetch::cache_dir()?)?
            }
            found => found?,
        };
        let orders = options.orders(&binaries)?;
        let Guard { program, args } = options.guard;
        let failed = |why: String| Error::Guard { program: program.clone(), why };
        let mut guard = Command::new(fs::canonicalize(&program).map_err(|error| failed(error.to_string()))?)
            .args(args)
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| failed(error.to_string()))?;
        let (Some(mut pipe), Some(answers)) = (guard.stdin.take(), guard.stdout.take()) else {
            return Err(failed("no pipe to it".to_owned()));
        };
        // If it died already, what it said tells more than a broken pipe.
        let _ = wire::write(&mut pipe, &orders.into_fields());
        let mut answers = BufReader::new(answers);
        let answer = wire::read(&mut answers);
        let started = match answer.as_ref().ok().and_then(Option::as_deref) {
            Some([word, socket_dir, pid]) if word == READY => {
                pid.to_str().and_then(|pid| pid.parse().ok()).map(|pid| (PathBuf::from(socket_dir), pid))
            }
            _ => None,
        };
        if let Some((socket_dir, server_pid)) = started {
            return Ok(Self { binaries, socket_dir, server_pid, program, guard, orders: Some(pipe), answers });
        }
        drop(pipe);
        let error = answer.ok().flatten().and_then(|fields| reported(&fields)).unwrap_or_else(|| {
            let mut said = String::new();
            let heard = guard.stderr.as_mut().map(|stderr| stderr.read_to_string(&mut said));
            failed(if heard.is_some() && !said.trim().is_empty() {
                said.trim().to_owned()
            } else {
                "no word".to_owned()
            })
        });
        let _ = guard.wait();
        Err(error)
    }

    /// The programs that were found or fetched.
    #[must_use]
    pub fn binaries(&self) -> &Binaries {
        &self.binaries
    }

    /// The private folder of the socket, and of the server's log, `postgres.log`. Gone with the server.
    #[must_use]
    pub fn socket_dir(&self) -> &Path {
        &self.socket_dir
    }

    /// The process id of the server.
    #[must_use]
    pub fn server_pid(&self) -> u32 {
        self.server_pid
    }

    /// The process id of the guard, the last to go.
    #[must_use]
    pub fn guard_pid(&self) -> u32 {
        self.guard.id()
    }

    /// For a Postgres client that takes `key=value` pairs. Only the database `postgres` is there at first.
    #[must_use]
    pub fn connection_string(&self, database: &str) -> String {
        let database = database.replace('\\', r"\\").replace('\'', r"\'");
        format!("host={} port=5432 user={USER} dbname='{database}'", self.socket_dir.display())
    }

    /// The same as a URL, as `psql` and `DATABASE_URL` take it. With the port, which `PGPORT` would change otherwise.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        let host = percent_encode(&self.socket_dir.to_string_lossy());
        format!("postgresql://{USER}@{host}:5432/{}", percent_encode(database))
    }

    /// Stops the server and waits until all of it is gone. Fails when the server had died before.
    pub fn stop(mut self) -> Result<(), Error> {
        self.close()
    }

    fn close(&mut self) -> Result<(), Error> {
        if self.orders.take().is_none() {
            return Ok(());
        }
        let last_word = wire::read(&mut self.answers);
        let status = self.guard.wait().map_err(Error::io("waiting for the guard of Postgres"))?;
        match last_word.ok().flatten().and_then(|fields| reported(&fields)) {
            Some(error) => Err(error),
            None if status.success() => Ok(()),
            None => Err(Error::Guard { program: self.program.clone(), why: status.to_string() }),
        }
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        // Nobody to tell; the guard has done what can be done.
        let _ = self.close();
    }
}

fn reported(answer: &[OsString]) -> Option<Error> {
    match answer {
        [word, why] if word == FAILED => Some(Error::Reported(why.to_string_lossy().into_owned())),
        _ => None,
    }
}

fn percent_encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}
