//! `intent-bus man`: the man pages, made from what `--help` says.

use std::{iter, path::PathBuf};

use clap::Args;
use clap_mangen::Man;

use super::{
    exit::{Exit, Failure},
    output,
};

/// Which page, or where to put all of them.
#[derive(Args)]
pub struct Arguments {
    /// The page of this command: `listen`, `keys create`. Without it that of `intent-bus`.
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,
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
    // As the files are named, `keys create` and `keys-create` are one.
    let words: Vec<&str> = iter::once(whole.get_name()).chain(arguments.command.iter().map(String::as_str)).collect();
    let page = page(&whole, &words.join("-"));
    let page = page.ok_or_else(|| Failure::usage(format!("There is no command {:?}.", arguments.command.join(" "))))?;
    let mut text = Vec::new();
    Man::new(page.clone()).render(&mut text)?;
    output::bytes(text.trim_ascii_end())?;
    Ok(Exit::Done)
}

/// The command whose page has this name, among this one and all below it.
fn page<'a>(command: &'a clap::Command, name: &str) -> Option<&'a clap::Command> {
    if command.get_display_name().unwrap_or(command.get_name()) == name {
        return Some(command);
    }
    command.get_subcommands().find_map(|below| page(below, name))
}
