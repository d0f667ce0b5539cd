//! What is run for an intent: a program and its arguments, started anew for each, with the payload on its standard input.
//!
//! What the bus has to do with it is no matter of this module. Between the two stands the [`guard`](super::guard).

use std::{
    ffi::OsString,
    io,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt, copy},
    process::{Child, ChildStderr, ChildStdout, Command},
    time::{sleep, timeout},
};

use super::guard;

/// What is kept of standard error, from its end: more than the bus keeps of a failure.
const TAIL: usize = 4096;
/// How long the guard may take to clear up, after the grace, before it is killed itself.
const CLEARED_IN: Duration = Duration::from_secs(5);
/// How much longer the end of a run may take than all of that.
const KILLED_IN: Duration = Duration::from_secs(5);
/// Variables with keys to the bus, or to what is behind it. Besides these, all that begin with [`OF_THE_BUS`].
const SECRETS: &[&str] =
    &["INTENT_API_KEY", "INTENT_ADMIN_TOKEN", "DATABASE_URL", "DATABASE_DIRECT_URL", "DASHBOARD_PASSWORD"];
/// How the names of the bus's settings begin.
const OF_THE_BUS: &str = "BUS_";

/// What to run, and how much it may take.
pub(super) struct Program {
    /// Never empty.
    pub(super) words: Vec<OsString>,
    /// For one run. `None`: as long as it takes.
    pub(super) time: Option<Duration>,
    /// Between SIGTERM and SIGKILL.
    pub(super) grace: Duration,
    /// Bytes of standard output.
    pub(super) output: usize,
}

/// How a run ended.
pub(super) enum Ended {
    /// By itself.
    Itself(Finished),
    /// It took longer than it may. With the end of its standard error.
    TimedOut(Vec<u8>),
    /// It printed more than it may. The same.
    TooMuchOutput(Vec<u8>),
    /// It was no longer wanted.
    Cancelled,
}

/// A program that has ended by itself.
pub(super) struct Finished {
    pub(super) status: ExitStatus,
    pub(super) output: Vec<u8>,
    /// The end of its standard error.
    pub(super) complaint: Vec<u8>,
}

impl Program {
    /// How long [`Self::run`] goes on at most when it is cancelled.
    pub(super) fn ends_within(&self) -> Duration {
        self.grace + CLEARED_IN + KILLED_IN
    }

    /// Runs it with this on its standard input and these variables, until `cancelled` ends. Then, too, nothing of it is left when
    /// this returns. Only when the future is dropped, the guard ends the program by itself.
    ///
    /// # Errors
    /// When no process can be started.
    pub(super) async fn run(
        &self,
        payload: &[u8],
        variables: &[(&str, &str)],
        cancelled: impl Future<Output = ()>,
    ) -> io::Result<Ended> {
        let mut child = self.command(payload.len(), variables)?.spawn()?;
        let (Some(mut lifeline), Some(mut output), Some(mut complaint)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(io::Error::other("a process without its three streams"));
        };
        let mut said = Vec::with_capacity(2 * TAIL);
        let work = async {
            // The guard takes all of it at once, whether the program does or not; that it has died shows by its status.
            let feed = async {
                let _ = lifeline.write_all(payload).await;
                Ok(())
            };
            let complaint = async {
                tail(&mut complaint, &mut said).await;
                Ok(())
            };
            tokio::try_join!(at_most(&mut output, self.output), complaint, feed)
        };
        let ended: fn(Vec<u8>) -> Ended = tokio::select! {
            worked = work => match worked {
                Ok((output, (), ())) => {
                    let status = child.wait().await?;
                    return Ok(Ended::Itself(Finished { status, output, complaint: said }));
                }
                Err(TooMuch) => Ended::TooMuchOutput,
            },
            () = passed(self.time) => Ended::TimedOut,
            () = cancelled => |_| Ended::Cancelled,
        };
        drop(lifeline);
        self.wait_for_the_guard(&mut child, &mut output, &mut complaint, &mut said).await?;
        Ok(ended(said))
    }

    /// Waits until nothing of it is left, once the guard has been told to end it.
    async fn wait_for_the_guard(
        &self,
        child: &mut Child,
        output: &mut ChildStdout,
        complaint: &mut ChildStderr,
        said: &mut Vec<u8>,
    ) -> io::Result<()> {
        // A program that cleans up may say so. If nobody read it, SIGPIPE would end it on the spot.
        let mut nowhere = tokio::io::sink();
        let ended = async {
            let _ = tokio::join!(copy(output, &mut nowhere), tail(complaint, said));
            child.wait().await
        };
        if timeout(self.grace + CLEARED_IN, ended).await.is_err() {
            // Its death takes the program with it.
            child.kill().await?;
        }
        Ok(())
    }

    fn command(&self, payload: usize, variables: &[(&str, &str)]) -> io::Result<Command> {
        let mut command = Command::new(own_executable()?);
        command
            .arg(guard::NAME)
            .arg(format!("--payload-bytes={payload}"))
            .arg(format!("--grace-ms={}", self.grace.as_millis()))
            .arg("--")
            .args(&self.words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| SECRETS.contains(&name) || name.starts_with(OF_THE_BUS)) {
                command.env_remove(name);
            }
        }
        command.envs(variables.iter().copied());
        Ok(command)
    }
}

/// This executable, also when another has been put in its place meanwhile.
pub(super) fn own_executable() -> io::Result<PathBuf> {
    if cfg!(target_os = "linux") { Ok("/proc/self/exe".into()) } else { std::env::current_exe() }
}

/// Waits until this time is over, if there is a limit.
async fn passed(limit: Option<Duration>) {
    match limit {
        Some(limit) => sleep(limit).await,
        None => std::future::pending().await,
    }
}

/// There is more to read than is taken.
struct TooMuch;

/// All of it.
async fn at_most(stream: impl AsyncRead + Unpin, bytes: usize) -> Result<Vec<u8>, TooMuch> {
    let mut read = Vec::new();
    let most = u64::try_from(bytes).unwrap_or(u64::MAX).saturating_add(1);
    // A pipe that breaks is at its end.
    let _ = stream.take(most).read_to_end(&mut read).await;
    if read.len() <= bytes { Ok(read) } else { Err(TooMuch) }
}

/// Keeps its last bytes, up to [`TAIL`], after those that are kept already.
async fn tail(mut stream: impl AsyncRead + Unpin, kept: &mut Vec<u8>) {
    loop {
        match stream.read_buf(kept).await {
            Ok(0) | Err(_) => break,
            Ok(_) if kept.len() > TAIL => {
                kept.drain(..kept.len() - TAIL);
            }
            Ok(_) => {}
        }
    }
}
