//! A replica: the real program, in a process of its own.

use std::{
    net::SocketAddr,
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command},
    sync::watch,
    task::JoinHandle,
};

/// Runs a program so that it ends with us, however we do. Part of util-linux.
const SETPRIV: &str = "/usr/bin/setpriv";
/// How long its last lines may take, once it has ended.
const READ_IN: Duration = Duration::from_secs(5);
/// How long it may take until it listens.
const STARTED_IN: Duration = Duration::from_secs(20);

/// It is killed when this value goes.
#[derive(Debug)]
pub struct Replica {
    /// Where it listens.
    pub address: SocketAddr,
    child: Child,
    readers: Vec<JoinHandle<()>>,
    faults: Arc<Mutex<Vec<String>>>,
}

impl Replica {
    /// Starts `serve` of this program with these settings and nothing else, and waits until it listens.
    pub async fn start(program: &Path, settings: &[(String, String)]) -> Result<Self> {
        let mut command = if Path::new(SETPRIV).exists() {
            let mut command = Command::new(SETPRIV);
            command.args(["--pdeathsig", "KILL", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.arg("serve").env_clear().envs(settings.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn()?;
        let faults = Arc::new(Mutex::new(Vec::new()));
        let (listens, mut listening) = watch::channel(None);
        let mut readers = Vec::new();
        if let (Some(output), Some(complaints)) = (child.stdout.take(), child.stderr.take()) {
            readers.push(tokio::spawn(read(output, faults.clone(), Some(listens))));
            readers.push(tokio::spawn(read(complaints, faults.clone(), None)));
        }
        let listens = tokio::time::timeout(STARTED_IN, listening.wait_for(Option::is_some)).await;
        let Ok(Ok(address)) = listens.map(|waited| waited.map(|address| *address)) else {
            bail!("a replica does not start: {:?}", faults.lock().unwrap_or_else(PoisonError::into_inner));
        };
        Ok(Self { address: address.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 1))), child, readers, faults })
    }

    /// Its process.
    pub fn pid(&self) -> Result<u32> {
        self.child.id().ok_or_else(|| anyhow!("the replica has ended"))
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        send(self.pid()?, signal)
    }

    /// Sends it a signal that ends it, and waits until it has, and its last lines are read. Comes back with all its faults.
    pub async fn end(mut self, signal: Signal) -> Result<Vec<String>> {
        self.look()?;
        if self.child.id().is_some() {
            self.signal(signal)?;
            self.child.wait().await?;
        }
        for reader in std::mem::take(&mut self.readers) {
            tokio::time::timeout(READ_IN, reader).await.context("the last lines of a replica")??;
        }
        Ok(self.faults())
    }

    /// That it has ended by itself is a fault.
    pub fn look(&mut self) -> Result<()> {
        if self.child.id().is_some()
            && let Some(status) = self.child.try_wait()?
        {
            let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
            faults.push(format!("a replica has ended by itself: {status}"));
        }
        Ok(())
    }

    /// Errors in its log, and lines that are no log: panics.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Sends a signal to a process of ours.
pub fn send(pid: u32, signal: Signal) -> Result<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or_else(|| anyhow!("no process id"))?;
    Ok(kill_process(pid, signal)?)
}

async fn read(
    stream: impl AsyncRead + Unpin,
    faults: Arc<Mutex<Vec<String>>>,
    listens: Option<watch::Sender<Option<SocketAddr>>>,
) {
    let mut lines = BufReader::new(stream).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        match serde_json::from_str::<Value>(&line) {
            Ok(said) if said["level"] != "ERROR" => {
                if let (Some(listens), true) = (&listens, said["message"] == "listening") {
                    listens.send_replace(said["listen"].as_str().and_then(|text| text.parse().ok()));
                }
            }
            _ => faults.lock().unwrap_or_else(PoisonError::into_inner).push(line),
        }
    }
}
