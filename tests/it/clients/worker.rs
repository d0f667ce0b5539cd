//! A worker in a process of its own. The process is this test binary once more, which runs [`a_worker_in_its_own_process`] alone.

use std::{
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use intent_bus_client::{Job, Worker};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{PATIENCE, client_at};

const ADDRESS: &str = "TEST_WORKER_BUS";
const CONCURRENCY: &str = "TEST_WORKER_CONCURRENCY";
const AT_MOST: &str = "TEST_WORKER_AT_MOST";
/// What its own lines begin with; the rest is the test harness's.
const MARK: &str = "worker: ";

/// Not a test of anything: what [`WorkerProcess`] runs. It claims intents of the goal `sleep`, and sleeps for as many
/// milliseconds as the payload says.
#[tokio::test]
#[ignore = "run by other tests, in a process of its own"]
async fn a_worker_in_its_own_process() {
    let Ok(address) = std::env::var(ADDRESS) else { return };
    let concurrency = std::env::var(CONCURRENCY).ok().and_then(|text| text.parse().ok()).expect("a number");
    let say = |text: String| {
        let _ = writeln!(std::io::stdout(), "\n{MARK}{text}");
        let _ = std::io::stdout().flush();
    };
    let sleep = move |job: Job<u64>| async move {
        say(format!("started {} {}", job.id(), job.attempt()));
        tokio::time::sleep(Duration::from_millis(job.payload)).await;
        say(format!("ended {} {}", job.id(), job.attempt()));
        Ok::<_, &str>(job.payload)
    };
    let bus = client_at(address.parse::<SocketAddr>().expect("an address"));
    let mut worker = Worker::new(bus).goal("sleep", sleep).concurrency(concurrency);
    if let Ok(intents) = std::env::var(AT_MOST) {
        worker = worker.at_most(intents.parse().expect("a number"));
    }
    worker.run().await.expect("it drains");
    say("drained".to_owned());
}

/// A worker that can be killed. It is, when this value goes.
pub(super) struct WorkerProcess {
    child: Child,
    lines: Receiver<String>,
}

impl WorkerProcess {
    pub(super) fn start(bus: SocketAddr, concurrency: usize) -> Self {
        Self::start_with(bus, concurrency, None)
    }

    /// One that ends after so many intents.
    pub(super) fn start_for(bus: SocketAddr, intents: usize) -> Self {
        Self::start_with(bus, 1, Some(intents))
    }

    fn start_with(bus: SocketAddr, concurrency: usize, at_most: Option<usize>) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this binary"));
        command.args(["clients::worker::a_worker_in_its_own_process", "--exact", "--ignored", "--nocapture"]);
        command.env(ADDRESS, bus.to_string()).env(CONCURRENCY, concurrency.to_string());
        command.envs(at_most.map(|intents| (AT_MOST, intents.to_string())));
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if let Some(said) = line.strip_prefix(MARK) {
                    let _ = sender.send(said.to_owned());
                }
            }
        });
        Self { child, lines }
    }

    /// Its next words, which must come soon.
    #[track_caller]
    pub(super) fn says(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("a line of the worker")
    }

    /// All that it still says until it ends.
    pub(super) fn last_words(&self) -> Vec<String> {
        let mut said = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            said.push(line);
        }
        said
    }

    pub(super) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().cast_signed()).expect("a process id");
        kill_process(pid, signal).expect("the process is there");
    }

    pub(super) fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("a child of ours")
    }
}

impl Drop for WorkerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A line `started ID ATTEMPT`.
pub(super) fn started(id: &str, attempt: u32) -> String {
    format!("started {id} {attempt}")
}

/// What `published` intents with payloads of milliseconds are called.
pub(super) fn milliseconds(duration: Duration) -> Value {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).into()
}
