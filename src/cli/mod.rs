//! The command line of those who publish and work: one file for each command, named like it.
//!
//! A command has its arguments, asks the bus through the crate `intent-bus-client`, and says what came of it. `bus` has what
//! all of them are told (where the bus is, with which key), `input` how they are given what they send, `output` how they print,
//! `exit` how they end. What runs a bus is no matter of this module: it is built without the rest of the crate, too.

mod bus;
mod completions;
mod dead;
mod doctor;
mod duration;
mod exit;
mod input;
mod keys;
mod listen;
mod man;
mod output;
mod publish;
mod result;
mod status;
mod values;

use std::{ffi::OsString, process::ExitCode};

use clap::Subcommand;

pub use self::exit::TABLE as EXIT_CODES;
use self::exit::{Exit, Failure};

/// What can be done with a bus that runs somewhere.
#[derive(Subcommand)]
#[command(mut_subcommands = numbers_may_be_negative)]
pub enum Command {
    /// Publishes an intent and prints its id.
    #[command(after_help = EXIT_CODES)]
    Publish(publish::Arguments),
    /// Works: runs a program for every intent with one of these goals.
    #[command(after_help = EXIT_CODES, after_long_help = listen::help())]
    Listen(listen::Arguments),
    /// Tells what has become of an intent.
    #[command(after_help = EXIT_CODES)]
    Status(status::Arguments),
    /// Prints what an intent was fulfilled with.
    #[command(after_help = EXIT_CODES)]
    Result(result::Arguments),
    /// Prints a value that was set.
    #[command(after_help = EXIT_CODES)]
    Get(values::Get),
    /// Sets a value for a while.
    #[command(after_help = EXIT_CODES)]
    Set(values::Set),
    /// Makes, lists, rotates and revokes API keys. For operators.
    #[command(after_help = EXIT_CODES)]
    Keys(keys::Arguments),
    /// Shows dead letters, and brings them back. For operators.
    #[command(after_help = EXIT_CODES)]
    Dead(dead::Arguments),
    /// Looks for what is wrong between this machine and the bus, and says what to do about it.
    #[command(after_help = EXIT_CODES)]
    Doctor(doctor::Arguments),
    /// Prints the script by which a shell completes these commands.
    Completions(completions::Arguments),
    /// Prints a man page, or writes all of them.
    Man(man::Arguments),
    /// Stands between `listen` and what it runs.
    #[command(name = listen::GUARD, hide = true)]
    ListenGuard(listen::GuardArguments),
}

/// A number that is too small is to be refused as such, and not as an option that there is not.
fn numbers_may_be_negative(command: clap::Command) -> clap::Command {
    let argument = |argument: clap::Arg| {
        let takes_values = argument.get_action().takes_values();
        argument.allow_negative_numbers(takes_values)
    };
    command.mut_args(argument).mut_subcommands(numbers_may_be_negative)
}

/// Does it, and prints what came of it. `whole` describes the whole command line.
#[must_use]
pub fn run(command: Command, whole: fn() -> clap::Command) -> ExitCode {
    let json = command.speaks_json();
    output::log();
    let done = match command {
        // Stays small: no runtime for the guard.
        Command::ListenGuard(arguments) => return listen::guard(&arguments),
        Command::Completions(arguments) => completions::run(&arguments, whole()),
        Command::Man(arguments) => man::run(&arguments, whole()),
        command => on_a_runtime(command),
    };
    match done {
        Ok(exit) => exit.into(),
        Err(failure) => failure.tell(json),
    }
}

/// Whether a command line that cannot be read asks for JSON all the same. What is run by `listen` has words of its own.
pub fn asks_for_json(words: impl Iterator<Item = OsString>) -> bool {
    words.take_while(|word| word != "--exec" && word != "--").any(|word| word == "--json")
}

/// Says in JSON what is wrong with a command line.
#[must_use]
pub fn refused(error: &clap::Error) -> ExitCode {
    let message = error.to_string();
    Failure::usage(message.trim_start_matches("error: ").trim_end()).tell(true)
}

/// One thread is enough to wait for answers and programs.
fn on_a_runtime(command: Command) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match command {
            Command::Publish(arguments) => publish::run(arguments).await,
            Command::Listen(arguments) => listen::run(arguments).await,
            Command::Status(arguments) => status::run(arguments).await,
            Command::Result(arguments) => result::run(arguments).await,
            Command::Get(arguments) => values::get(arguments).await,
            Command::Set(arguments) => values::set(arguments).await,
            Command::Keys(arguments) => keys::run(arguments).await,
            Command::Dead(arguments) => dead::run(arguments).await,
            Command::Doctor(arguments) => doctor::run(arguments).await,
            Command::Completions(_) | Command::Man(_) | Command::ListenGuard(_) => Ok(Exit::Done),
        }
    })
}

impl Command {
    /// Whether what goes wrong is to be told in JSON, too.
    fn speaks_json(&self) -> bool {
        match self {
            Self::Publish(arguments) => arguments.bus.json,
            Self::Listen(arguments) => arguments.bus.json,
            Self::Status(arguments) => arguments.bus.json,
            Self::Result(arguments) => arguments.bus.json,
            Self::Get(arguments) => arguments.bus.json,
            Self::Set(arguments) => arguments.bus.json,
            Self::Keys(arguments) => arguments.bus.json,
            Self::Dead(arguments) => arguments.bus.json,
            Self::Doctor(arguments) => arguments.bus.json,
            Self::Completions(_) | Self::Man(_) | Self::ListenGuard(_) => false,
        }
    }
}
