//! The commands of publishers and workers, as a person or a script runs them: the real binary against a replica.

mod doctor;
mod listen;
mod orphans;
mod publish;
mod shell;
mod values;
mod workers;

use std::{
    fs,
    path::Path,
    process::{Output, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
    process::{Child, Command},
};

use crate::{
    processes::until,
    support::{TestApp, app::ROOT},
};

/// How long a command may take that has nothing to wait for.
const PATIENCE: Duration = Duration::from_secs(60);

/// The command line with an address and a key, and a home folder of its own that holds nothing.
struct Cli {
    url: String,
    key: String,
    home: TempDir,
}

/// A command that has ended.
struct Ran {
    status: Option<i32>,
    out: String,
    complaint: String,
}

impl Cli {
    /// For this bus, with the root key.
    fn of(app: &TestApp) -> Self {
        Self::with_key(app, ROOT)
    }

    fn with_key(app: &TestApp, key: &str) -> Self {
        Self::at(format!("http://{}", app.address), key)
    }

    fn at(url: String, key: &str) -> Self {
        Self { url, key: key.to_owned(), home: tempfile::tempdir().expect("a folder") }
    }

    /// A folder for what the programs of a test write.
    fn folder(&self) -> &Path {
        self.home.path()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_intent-bus"));
        command
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home.path())
            .env("INTENT_BUS_URL", &self.url)
            .env("INTENT_API_KEY", &self.key)
            .current_dir(self.home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    async fn run(&self, arguments: &[&str]) -> Ran {
        finish(self.command(arguments).spawn().expect("the binary starts")).await
    }

    /// Starts it, to be signalled and waited for.
    fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).spawn().expect("the binary starts")
    }

    /// What a program has written into a file of [`Cli::folder`], once it is there to its end: a line feed.
    async fn written(&self, name: &str) -> String {
        let path = self.folder().join(name);
        let read = || fs::read_to_string(&path).ok().filter(|text| text.ends_with('\n'));
        until(&format!("{} is written", path.display()), PATIENCE, async || read().is_some()).await;
        read().expect("it was there").trim_end().to_owned()
    }

    /// Whether a program has written that file.
    fn has(&self, name: &str) -> bool {
        self.folder().join(name).exists()
    }

    /// Makes a file that a program waits for.
    fn put(&self, name: &str, text: &str) {
        fs::write(self.folder().join(name), text).expect("a file");
    }
}

async fn finish(child: Child) -> Ran {
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await;
    let Output { status, stdout, stderr } = output.expect("it ends in time").expect("a child of ours");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    Ran { status: status.code(), out: text(stdout), complaint: text(stderr) }
}

fn signal(child: &Child, signal: Signal) {
    let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed())).expect("it runs");
    kill_process(pid, signal).expect("it runs");
}

/// Tells a worker to stop, once. Two signals that come together would be heard as one, so this waits until it was heard.
async fn stop(worker: &mut Child) {
    signal(worker, Signal::TERM);
    said(worker, "told to stop").await;
}

/// Waits until a worker has said this on standard error, and gives the line.
async fn said(worker: &mut Child, words: &str) -> String {
    let mut lines = BufReader::new(worker.stderr.as_mut().expect("what it says")).lines();
    let line = async {
        loop {
            let line = lines.next_line().await.expect("a line").unwrap_or_else(|| panic!("it never says {words:?}"));
            if line.contains(words) {
                return line;
            }
        }
    };
    tokio::time::timeout(PATIENCE, line).await.unwrap_or_else(|_| panic!("it does not say {words:?}"))
}

/// Something that answers every request like this: status line, headers and body.
async fn answering(answer: impl Fn(&str) -> String + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = vec![0; 8192];
            let read = stream.read(&mut head).await.unwrap_or(0);
            let answer = answer(&String::from_utf8_lossy(&head[..read]));
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    url
}

fn http(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\nx-intent-version: 2.1\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

impl Ran {
    /// It must have ended like this; what it printed, without the last line feed.
    #[track_caller]
    fn expect(&self, status: i32) -> &str {
        assert_eq!(self.status, Some(status), "{}{}", self.out, self.complaint);
        self.out.strip_suffix('\n').unwrap_or(&self.out)
    }

    /// The object on standard error that says what went wrong.
    #[track_caller]
    fn error(&self) -> Value {
        let told: Value =
            serde_json::from_str(&self.complaint).unwrap_or_else(|error| panic!("{error}: {}", self.complaint));
        told["error"].clone()
    }

    /// The same as JSON.
    #[track_caller]
    fn json(&self, status: i32) -> Value {
        let text = self.expect(status);
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }
}
