//! The command line: subcommands, nothing else.

use std::process::ExitCode;

#[cfg(feature = "cli")]
use clap::CommandFactory;
use clap::Parser;
#[cfg(feature = "cli")]
use intent_bus::cli;
#[cfg(feature = "server")]
use intent_bus::commands;

/// Less of the processor than the system's, and as little memory. docs/performance.md has the figures.
#[cfg(feature = "server")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// A job bus over plain HTTP: publish an intent here, execute it anywhere.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    #[cfg(feature = "server")]
    #[command(flatten)]
    Bus(commands::Command),
    #[cfg(feature = "cli")]
    #[command(flatten)]
    Client(cli::Command),
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        #[cfg(feature = "cli")]
        Err(error) if error.use_stderr() && cli::asks_for_json(std::env::args_os()) => return cli::refused(&error),
        Err(error) => error.exit(),
    };
    match arguments.command {
        #[cfg(feature = "server")]
        Command::Bus(command) => commands::run(command),
        #[cfg(feature = "cli")]
        Command::Client(command) => cli::run(command, Arguments::command),
    }
}
