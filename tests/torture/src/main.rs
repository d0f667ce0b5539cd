//! The command line: `list`, `run`, `mutations`.

use std::{
    io::Write,
    process::ExitCode,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Result, anyhow};
use clap::{Args, Parser, Subcommand};
use tokio::runtime::Runtime;
use torture::{
    crew,
    experiment::{Context, Report, Scenario},
    mutations::{self, Mutation},
    scenarios,
};

/// Breaks the bus on purpose, and holds what it said against what it did. Build the bus first: its program is taken from beside
/// this one, unless the environment names another as `BUS_BINARY`.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Names the experiments.
    List,
    /// Runs experiments, and prints a row of a table for each.
    Run(Run),
    /// Breaks the bus itself, one rule after the other, by rewriting its statements on their way to Postgres. The check has to
    /// notice each time.
    Mutations {
        /// Which; all unless some are named.
        names: Vec<String>,
        /// What all decisions come from.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// A process of workers, for the experiments.
    #[command(hide = true)]
    Worker,
}

#[derive(Args)]
struct Run {
    /// Which; `all`, or `ci` for those of the short run.
    #[arg(required = true)]
    names: Vec<String>,
    /// What all decisions come from. Without it a new one, which is printed.
    #[arg(long)]
    seed: Option<u64>,
    /// How long the chaos lasts.
    #[arg(long)]
    seconds: Option<u64>,
    /// Seconds of load in peace before the chaos, and after it: what recovery is measured by.
    #[arg(long, value_name = "SECONDS")]
    peace: Option<u64>,
    /// The long form.
    #[arg(long)]
    long: bool,
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::List => list(),
        Command::Mutations { names, seed } => mutate(&names, seed),
        Command::Worker => runtime().and_then(|runtime| runtime.block_on(crew::serve())).map(|()| true),
        Command::Run(arguments) => run(&arguments),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "torture: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn say(text: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}

fn fresh() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_secs() % 1_000_000)
}

fn list() -> Result<bool> {
    say("| experiment | what is done | passes when |\n|---|---|---|")?;
    for Scenario { name, what, passes, in_ci, .. } in scenarios::all() {
        let mark = if *in_ci { " (CI)" } else { "" };
        say(&format!("| {name}{mark} | {what} | {passes} |"))?;
    }
    Ok(true)
}

/// Those that are asked for, and whether by name.
fn named(names: &[String]) -> Result<Vec<(&'static Scenario, bool)>> {
    let mut chosen = Vec::new();
    for name in names {
        match name.as_str() {
            "all" => chosen.extend(scenarios::all().into_iter().map(|scenario| (scenario, false))),
            "ci" => {
                let all = scenarios::all().into_iter();
                chosen.extend(all.filter(|scenario| scenario.in_ci).map(|scenario| (scenario, false)));
            }
            name => {
                let found = scenarios::find(name).ok_or_else(|| anyhow!("no experiment {name:?}: see `list`"))?;
                chosen.push((found, true));
            }
        }
    }
    Ok(chosen)
}

fn runtime() -> Result<Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}

/// Runs this in a runtime of its own, so that nothing of it reaches the next. Interrupted, it ends all that it has started.
fn alone(work: impl Future<Output = Result<Report>>) -> Result<Result<Report>> {
    let runtime = runtime()?;
    let report = runtime.block_on(async {
        tokio::select! {
            report = work => Ok(report),
            _ = tokio::signal::ctrl_c() => Err(anyhow!("interrupted")),
        }
    });
    runtime.shutdown_timeout(Duration::from_secs(5));
    report
}

/// Whether each was noticed.
fn mutate(names: &[String], seed: u64) -> Result<bool> {
    let all = mutations::ALL.map(|mutation| mutation.name);
    if let Some(unknown) = names.iter().find(|name| !all.contains(&name.as_str())) {
        return Err(anyhow!("no mutation {unknown:?}; there are {all:?}"));
    }
    let chosen: Vec<&Mutation> = mutations::ALL
        .iter()
        .filter(|mutation| names.is_empty() || names.iter().any(|name| name == mutation.name))
        .collect();
    let mut noticed = true;
    say("| mutation | what is broken | what the check said | |\n|---|---|---|---|")?;
    for mutation in chosen {
        let (said, is_noticed) = match alone(mutations::run(mutation, seed))? {
            Ok(report) => mutations::judge(mutation, &report),
            Err(error) => (format!("could not be run: {error:#}"), false),
        };
        noticed &= is_noticed;
        let verdict = if is_noticed { "caught" } else { "**MISSED**" };
        say(&format!("| {} | {} | {said} | {verdict} |", mutation.name, mutation.what))?;
    }
    Ok(noticed)
}

/// Whether all have passed, and those that were named have run.
fn run(arguments: &Run) -> Result<bool> {
    let &Run { ref names, seed, seconds, peace, long } = arguments;
    let (chosen, seed) = (named(names)?, seed.unwrap_or_else(fresh));
    let (mut passed, mut skipped) = (true, 0);
    say("| experiment | seed | took | what was seen | recovery | |\n|---|---|---|---|---|---|")?;
    for (scenario, is_named) in chosen {
        let context = Context { name: scenario.name, seed, seconds, peace, long };
        match alone((scenario.run)(context))? {
            Ok(report) => {
                let is_skipped = report.findings.is_none();
                skipped += usize::from(is_skipped);
                passed &= report.passed() && !(is_skipped && is_named);
                say(&report.row())?;
                for violation in report.findings.iter().flat_map(|findings| findings.violations.iter().take(5)) {
                    let _ = writeln!(std::io::stderr(), "  {:?}: {}", violation.kind, violation.what);
                }
            }
            Err(error) => {
                passed = false;
                say(&format!("| {} | {seed} | | could not be run: {error:#} | | **FAILED** |", scenario.name))?;
            }
        }
    }
    if skipped > 0 {
        say(&format!("\n{skipped} skipped"))?;
    }
    Ok(passed)
}
