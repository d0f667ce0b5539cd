//! `intent-bus completions`: the script by which a shell completes these commands.

use std::io;

use clap::Args;
use clap_complete::Shell;

use super::{
    exit::{Exit, Failure},
    output,
};

/// For which shell.
#[derive(Args)]
pub struct Arguments {
    /// The shell.
    shell: Shell,
}

pub(super) fn run(arguments: &Arguments, mut whole: clap::Command) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut whole, "intent-bus", &mut script);
    let script = String::from_utf8(script).map_err(io::Error::other)?;
    output::bytes(script.trim_end().as_bytes())?;
    Ok(Exit::Done)
}
