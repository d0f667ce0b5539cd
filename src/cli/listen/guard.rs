//! The process between the worker and what it runs for an intent: it ends with all that was started, whatever happens to
//! the worker.
//!
//! It is this executable under a hidden subcommand, in a process group of its own, so that a Ctrl-C at the terminal does
//! not reach it. Its standard input is a pipe from the worker: first the payload, which it passes on, then nothing for as
//! long as the worker wants the program to run. That the pipe ends, by the worker's will or by its death, is the order to
//! stop. The program leads a group, too: that group gets SIGTERM and, when the grace is over, SIGKILL.
//!
//! On Linux nothing gets away: what has left the group comes back to the guard as its child (it is a *subreaper*), and the
//! program is killed if the guard is. It has no key, neither in its memory nor in its environment.

use std::{
    ffi::{OsStr, OsString},
    io::{self, Read, Write},
    os::unix::process::{CommandExt, ExitStatusExt},
    process::{Child, ChildStdin, Command, ExitCode, ExitStatus, Stdio},
    sync::mpsc::{self, Sender},
    thread,
    time::Duration,
};

use clap::Args;
use rustix::{
    io::Errno,
    process::{
        Pid, Resource, Rlimit, Signal, WaitId, WaitIdOptions, WaitOptions, kill_process, kill_process_group, setrlimit,
        wait, waitid,
    },
};

/// Name of the subcommand.
pub(in crate::cli) const NAME: &str = "listen-guard";
/// Ends with this when there is no such program, as a shell does.
const NOT_FOUND: u8 = 127;
/// Ends with this when the program cannot be run.
const NOT_RUNNABLE: u8 = 126;

/// What the worker tells it.
#[derive(Args)]
pub struct Arguments {
    /// Bytes of payload that stand at the beginning of standard input.
    #[arg(long)]
    payload_bytes: u64,
    /// Milliseconds between SIGTERM and SIGKILL.
    #[arg(long)]
    grace_ms: u64,
    /// Become the program, as the child of this process.
    #[arg(long, value_name = "PID")]
    become_child_of: Option<u32>,
    /// The program and its arguments.
    #[arg(last = true, required = true)]
    program: Vec<OsString>,
}

/// What can happen while the program runs.
enum Event {
    /// It has ended, and was not waited for yet.
    Ended,
    /// The worker wants no more of it, or is gone.
    Cut,
}

/// Runs the program to its end, or to that of the worker's patience, and ends as it did.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    if let Some(guard) = arguments.become_child_of {
        return become_program(guard, &arguments.program);
    }
    // Not by the name of the worker: whoever kills all of those leaves the one that clears up.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::set_name(c"listen-guard");
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
    let mut child = match launch(arguments) {
        Ok(child) => child,
        Err(error) => return complain(&arguments.program[0], &error),
    };
    let Some(pid) = Pid::from_raw(child.id().cast_signed()) else { return ExitCode::FAILURE };
    let (events, happens) = mpsc::channel();
    let stdin = child.stdin.take();
    let (ended, bytes) = (events.clone(), arguments.payload_bytes);
    thread::spawn(move || listen(stdin, bytes, &events));
    thread::spawn(move || watch(pid, &ended));
    if matches!(happens.recv(), Ok(Event::Cut)) {
        let _ = kill_process_group(pid, Signal::TERM);
        let grace = Duration::from_millis(arguments.grace_ms);
        // What comes now can only be the end. Whether it does or not, what is left is killed.
        let _ = happens.recv_timeout(grace);
    }
    end_as(clear(pid))
}

/// Starts the program by way of this executable, which has the kernel tie its life to that of the guard.
fn launch(arguments: &Arguments) -> io::Result<Child> {
    let mut command;
    if cfg!(target_os = "linux") {
        command = Command::new(super::program::own_executable()?);
        command
            .args([NAME, "--payload-bytes=0", "--grace-ms=0"])
            .arg(format!("--become-child-of={}", std::process::id()))
            .arg("--")
            .args(&arguments.program);
    } else {
        command = Command::new(&arguments.program[0]);
        command.args(&arguments.program[1..]);
    }
    command.stdin(Stdio::piped()).process_group(0).spawn()
}

/// Never returns unless it fails.
fn become_program(guard: u32, program: &[OsString]) -> ExitCode {
    #[cfg(target_os = "linux")]
    if rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).is_err() {
        return ExitCode::FAILURE;
    }
    // It may have died before the request was made.
    if std::os::unix::process::parent_id() != guard {
        return ExitCode::FAILURE;
    }
    complain(&program[0], &Command::new(&program[0]).args(&program[1..]).exec())
}

/// For whoever reads why the intent has failed.
fn complain(program: &OsStr, error: &io::Error) -> ExitCode {
    let _ = writeln!(io::stderr(), "{}: {error}", program.display());
    ExitCode::from(if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { NOT_RUNNABLE })
}

/// Takes the payload, then waits for the worker's word. Handing the payload on is for another thread: a program need not read
/// its input, and whoever waits for it to do so does not hear the worker.
fn listen(stdin: Option<ChildStdin>, bytes: u64, events: &Sender<Event>) {
    let mut from_worker = io::stdin().lock();
    let mut payload = Vec::new();
    let read = from_worker.by_ref().take(bytes).read_to_end(&mut payload);
    if let Some(stdin) = stdin {
        if read.is_ok_and(|read| u64::try_from(read) == Ok(bytes)) {
            thread::spawn(move || feed(stdin, &payload));
        } else {
            // The worker has died on the way. The program must not take half a payload for the whole, nor none for an empty one:
            // it is killed first.
            std::mem::forget(stdin);
        }
    }
    // What is never sent.
    let _ = io::copy(&mut from_worker, &mut io::sink());
    let _ = events.send(Event::Cut);
}

/// Hands the payload to the program, and says that this was all. A program that does not read it is no fault.
fn feed(mut stdin: ChildStdin, payload: &[u8]) {
    let _ = stdin.write_all(payload);
}

/// Waits for the end without taking note of it: until [`clear`] does, the number stands for this process and its group.
fn watch(pid: Pid, events: &Sender<Event>) {
    while matches!(waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT), Err(Errno::INTR)) {}
    let _ = events.send(Event::Ended);
}

/// Kills what is left, and gives how the program ended.
fn clear(program: Pid) -> Option<ExitStatus> {
    let mut ended = None;
    // Before anything is waited for: after that the number might be another's.
    let _ = kill_process_group(program, Signal::KILL);
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if pid == program => ended = Some(ExitStatus::from_raw(status.as_raw())),
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) => {
                for stray in children() {
                    let _ = kill_process(stray, Signal::KILL);
                }
                // One of them ends now; what it has left behind is a child in the next round.
                let any = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
                let _ = waitid(WaitId::All, any);
            }
            Err(_) => return ended,
        }
    }
}

/// The processes whose parent is this one, by the system's own list.
#[cfg(target_os = "linux")]
fn children() -> Vec<Pid> {
    let us = std::process::id();
    let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
    processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| parent(*pid) == Some(us))
        .filter_map(Pid::from_raw)
        .collect()
}

#[cfg(target_os = "linux")]
fn parent(pid: i32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // After the name, which may hold anything, come the state and the parent.
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(not(target_os = "linux"))]
fn children() -> Vec<Pid> {
    Vec::new()
}

/// Ends with the program's status, or by the same signal.
fn end_as(ended: Option<ExitStatus>) -> ExitCode {
    let Some(status) = ended else { return ExitCode::FAILURE };
    if let Some(signal) = status.signal().and_then(Signal::from_named_raw) {
        // The core, if there is one, is the program's.
        let none = Rlimit { current: Some(0), maximum: Some(0) };
        let _ = setrlimit(Resource::Core, none);
        let _ = kill_process(rustix::process::getpid(), signal);
    }
    status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
}
