//! `intent-bus man`: the man pages, made from what `--help` says.

use std::path::PathBuf;

use clap::Args;
use clap_mangen::Man;

use super::{
    exit::{Exit, Failure},
    output,
};

/// Which page, or where to put all of them.
#[derive(Args)]
pub struct Arguments {
    /// The page of this command. Without it that of `intent-bus`.
    #[arg(value_name = "COMMAND")]
    command: Option<String>,
    /// Write all pages into this folder.
    #[arg(long, value_name = "FOLDER", conflicts_with = "command")]
    output: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments, whole: clap::Command) -> Result<Exit, Failure> {
    if let Some(folder) = &arguments.output {
        clap_mangen::generate_to(whole, folder)
            .map_err(|error| Failure::usage(format!("{} cannot be written to: {error}.", folder.display())))?;
        return Ok(Exit::Done);
    }
    // Built: the names of subcommands get those of their commands in front.
    let mut whole = whole;
    whole.build();
    let page = match &arguments.command {
        None => whole,
        Some(name) => {
            let found = whole.find_subcommand(name);
            found.ok_or_else(|| Failure::usage(format!("There is no command {name:?}.")))?.clone()
        }
    };
    let mut text = Vec::new();
    Man::new(page).render(&mut text)?;
    output::bytes(text.trim_ascii_end())?;
    Ok(Exit::Done)
}
