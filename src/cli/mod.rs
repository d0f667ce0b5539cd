//! stub
use std::process::ExitCode;
pub mod listen;

/// What
#[derive(clap::Subcommand)]
pub enum Command {
    /// Stands between `listen` and what it runs.
    #[command(name = "listen-guard", hide = true)]
    ListenGuard(listen::guard::Arguments),
}

/// Does it.
pub fn run(command: Command, _whole: fn() -> clap::Command) -> ExitCode {
    match command {
        Command::ListenGuard(arguments) => listen::guard::run(&arguments),
    }
}
