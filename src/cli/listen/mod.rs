//! `intent-bus listen`: turns a machine into a worker that runs a program for every intent.
//!
//! The client's worker claims, renews and finishes; here is what it runs. `job` takes one intent through a `program`, which
//! stands behind a `guard`; `ledger` tells what comes of it. `executable` looks for the program before there is work.

mod executable;
mod guard;
mod job;
mod ledger;
mod program;

use std::{
    ffi::{OsStr, OsString},
    sync::Arc,
    time::Duration,
};

use clap::{ArgGroup, Args};
use intent_bus_client::{Job, RawValue, Worker};

pub(super) use self::guard::{Arguments as GuardArguments, NAME as GUARD, run as guard};
use self::{job::Task, ledger::Ledger, program::Program};
use super::{
    bus::Bus,
    duration, exit,
    exit::{Exit, Failure},
    output::{self, CAREFUL, NAME},
};

/// What `--help` says besides the arguments: people copy from there.
const SAFETY: &str = "\
The program gets
  on its standard input   the payload, as JSON, byte for byte
  in its environment      INTENT_ID, INTENT_GOAL, INTENT_NAMESPACE, INTENT_ATTEMPT, and TRACEPARENT if there is a trace;
                          no API key, and no setting of a bus
What it prints is the result: JSON if it is JSON, else text. If it ends with anything but 0, the attempt has failed, and the
end of its standard error says why.

A payload is written by whoever may publish: treat it as you would treat a stranger's letter. It never becomes part of a
command line. Keep it so: no eval, no `sh -c`, no unquoted variable made of it. Without --own this worker also takes
public intents, which anybody with a key may publish. The same intent may come twice: delivery is at least once.";

/// For what, and how it is run.
#[derive(Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
#[command(group(ArgGroup::new("work").required(true).args(["exec", "shell"])))]
pub struct Arguments {
    /// What kinds of work it takes.
    #[arg(required = true, value_name = "GOAL")]
    goals: Vec<String>,
    /// The program and its arguments; everything after this belongs to it. No shell is involved.
    #[arg(long, value_name = "PROGRAM [ARGS]", num_args = 1.., allow_hyphen_values = true)]
    exec: Vec<OsString>,
    /// A line for `sh -c` in place of a program. It takes own private intents alone; see --own.
    #[arg(long, value_name = "LINE")]
    shell: Option<OsString>,
    /// Take only what this key's tenant has published. The key then stands in the address of each claim, which proxies may
    /// write into their logs.
    #[arg(long)]
    own: bool,
    /// The namespace. `default` unless told otherwise.
    #[arg(long)]
    namespace: Option<String>,
    /// The name of this worker, for intents that are meant for it. That of the machine unless told otherwise.
    #[arg(long, value_name = "NAME")]
    worker_id: Option<String>,
    /// What this worker can do, for intents that require it. Several with commas.
    #[arg(long, value_name = "WORD", value_delimiter = ',')]
    capability: Vec<String>,
    /// How many run at the same time.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    concurrency: u16,
    /// How long one run may take: 90, 10m, 2h. Then all its processes are ended, and the attempt has failed.
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    timeout: Option<Duration>,
    /// Between the signals TERM and KILL, when a run is ended.
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "5s")]
    grace: Duration,
    /// How long runs may go on after the worker was told to stop. Then they are ended, and their attempts have failed: another
    /// worker may have the intents at once. As long as they take unless told otherwise.
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    stop_timeout: Option<Duration>,
    /// Bytes that one run may print. One that prints more is ended, and the attempt has failed.
    #[arg(long, value_name = "BYTES", default_value_t = 262_144)]
    max_output: usize,
    /// Work on one intent, then end.
    #[arg(long, conflicts_with_all = ["drain", "concurrency"])]
    once: bool,
    /// Work until nothing is left, then end.
    #[arg(long)]
    drain: bool,
    /// Tell of every run that went well, too.
    #[arg(long, short)]
    verbose: bool,
    #[command(flatten)]
    pub(super) bus: Bus,
}

/// What stands at the end of `listen --help`.
pub(super) fn help() -> String {
    format!("{SAFETY}\n\n{}", exit::TABLE)
}

pub(super) async fn run(mut arguments: Arguments) -> Result<Exit, Failure> {
    keep_to_ourselves();
    let by_shell = arguments.shell.is_some();
    if by_shell {
        output::complain(format_args!(
            "{CAREFUL}careful:{CAREFUL:#} a shell runs for every intent. The payload reaches it on standard input alone; make \
             no command of it. Only private intents that this key's tenant has published are taken."
        ));
    }
    let client = arguments.bus.client()?;
    let words = words(&mut arguments);
    executable::check(&words[0]).map_err(|why| Failure::usage(format!("--exec: {why}")))?;
    if !arguments.bus.json {
        greet(&arguments, &words[0])?;
    }
    let task = Arc::new(Task {
        program: Program { words, time: arguments.timeout, grace: arguments.grace, output: arguments.max_output },
        private_only: by_shell,
        ledger: Ledger::new(arguments.bus.json, arguments.verbose),
    });
    let mut worker =
        Worker::new(client).concurrency(usize::from(arguments.concurrency)).capabilities(arguments.capability);
    if by_shell || arguments.own {
        worker = worker.own_only();
    }
    if let Some(namespace) = arguments.namespace {
        worker = worker.namespace(namespace);
    }
    if let Some(name) = arguments.worker_id {
        worker = worker.worker_id(name);
    }
    if let Some(time) = arguments.stop_timeout {
        worker = worker.drain_timeout(time);
    }
    if arguments.drain {
        worker = worker.until_empty();
    }
    for goal in arguments.goals {
        let task = Arc::clone(&task);
        worker = worker.goal(goal, move |job: Job<Box<RawValue>>| {
            let task = Arc::clone(&task);
            async move { task.run(&job).await }
        });
    }
    if arguments.once {
        worker = worker.at_most(1);
    }
    let told = Arc::clone(&task);
    worker = worker.cancel_grace(task.program.ends_within()).on_end(move |ended| told.ledger.tell(ended));
    worker.run().await?;
    let finite = arguments.once || arguments.drain;
    Ok(if finite && task.ledger.any_failed() { Exit::Dead } else { Exit::Done })
}

/// Says what is about to be done, for whoever wonders why nothing happens.
fn greet(arguments: &Arguments, program: &OsStr) -> Result<(), Failure> {
    let (url, key) = (arguments.bus.url()?, arguments.bus.key_source());
    let (goals, namespace) = (arguments.goals.join(", "), arguments.namespace.as_deref().unwrap_or("default"));
    let program = program.display();
    let line = format!("{goals} in namespace {namespace} of {url}, with the key of {key}; each is run by {program}");
    output::complain(format_args!("{NAME}listening:{NAME:#} {}", output::printable(&line)));
    Ok(())
}

/// The command line of what is run.
fn words(arguments: &mut Arguments) -> Vec<OsString> {
    match arguments.shell.take() {
        Some(line) => vec!["sh".into(), "-c".into(), line],
        None => std::mem::take(&mut arguments.exec),
    }
}

/// What runs under this worker is of the same user, as a rule, and could read the key out of its memory and environment.
/// (Root still can, and a key file that the user can read is no secret to it either.)
fn keep_to_ourselves() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}
