//! The bus as a process of its own: the real binary, its log, and signals.

use std::{
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{
    Client, TestDb,
    app::{ADMIN, ROOT, environment},
};

/// How long a line of the log may take to come.
const PATIENCE: Duration = Duration::from_secs(30);

/// A replica in a process of its own. It is killed when this value goes.
pub(crate) struct Replica {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    child: Child,
    log: Arc<Log>,
    /// Of its standard output, then of its standard error.
    readers: Vec<JoinHandle<()>>,
    http: reqwest::Client,
}

/// The lines that it has written so far, and whether they have come to their end.
#[derive(Default)]
struct Log {
    lines: Mutex<(Vec<Value>, bool)>,
    more: Condvar,
}

impl Replica {
    /// Starts `intent-bus serve` on this database with these settings, and waits until it listens.
    pub(crate) fn start(db: &TestDb, settings: &[(&str, &str)]) -> Self {
        Self::start_by(&mut Self::command(db, settings))
    }

    /// The command that starts it, to be changed before it is run by [`Self::start_by`].
    pub(crate) fn command(db: &TestDb, settings: &[(&str, &str)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_intent-bus"));
        command.arg("serve").env_clear().envs(environment(db, settings));
        command
    }

    /// Runs this command and waits until it says that it listens.
    pub(crate) fn start_by(command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let (output, complaints) =
            (child.stdout.take().expect("its output"), child.stderr.take().expect("its complaints"));
        let log = Arc::new(Log::default());
        let (for_output, for_complaints) = (Arc::clone(&log), Arc::clone(&log));
        let readers = vec![
            thread::spawn(move || {
                for_output.copy(output);
                for_output.end();
            }),
            thread::spawn(move || for_complaints.copy(complaints)),
        ];
        let address = log.wait("listening")["listen"].as_str().and_then(|text| text.parse().ok()).expect("an address");
        let http = super::http().build().expect("an HTTP client");
        Self { address, child, log, readers, http }
    }

    /// A client without a key.
    pub(crate) fn nobody(&self) -> Client {
        Client::new(self.http.clone(), format!("http://{}", self.address))
    }

    /// The client that holds the root key.
    pub(crate) fn root(&self) -> Client {
        self.nobody().key(ROOT)
    }

    /// An operator, by the admin token.
    pub(crate) fn admin(&self) -> Client {
        self.nobody().with("x-admin-token", ADMIN)
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().cast_signed()).expect("a process id");
        kill_process(pid, signal).expect("the process is there");
    }

    /// SIGTERM: it drains, and ends.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// SIGKILL, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("the process is there");
        self.wait();
    }

    /// Waits until it has ended.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        // Its output ends with it.
        self.log.wait_for_end();
        let status = self.child.wait().expect("a child of ours");
        for reader in self.readers.drain(..) {
            reader.join().expect("a reader of what it writes");
        }
        status
    }

    /// The lines of its log so far; all of them once it has ended.
    pub(crate) fn logs(&self) -> Vec<Value> {
        self.log.lines.lock().expect("the log").0.clone()
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        if !self.readers.is_empty() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if thread::panicking() {
            for line in self.logs() {
                eprintln!("{line}");
            }
        }
    }
}

impl Log {
    /// Keeps the lines of a stream until it ends. What is not JSON is kept as text: a panic, for one.
    fn copy(&self, stream: impl Read) {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            self.push(serde_json::from_str(&line).unwrap_or(Value::String(line)));
        }
    }

    fn push(&self, line: Value) {
        self.lines.lock().expect("the log").0.push(line);
        self.more.notify_all();
    }

    fn end(&self) {
        self.lines.lock().expect("the log").1 = true;
        self.more.notify_all();
    }

    fn wait_for_end(&self) {
        let lines = self.lines.lock().expect("the log");
        let (lines, late) = self.more.wait_timeout_while(lines, PATIENCE, |lines| !lines.1).expect("the log");
        assert!(!late.timed_out(), "it has not ended within {PATIENCE:?}: {:#?}", lines.0);
    }

    fn wait(&self, message: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        let mut lines = self.lines.lock().expect("the log");
        loop {
            if let Some(line) = lines.0.iter().find(|line| line["message"] == message) {
                return line.clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!lines.1 && !left.is_zero(), "no line {message:?} in the log: {:#?}", lines.0);
            lines = self.more.wait_timeout(lines, left).expect("the log").0;
        }
    }
}
