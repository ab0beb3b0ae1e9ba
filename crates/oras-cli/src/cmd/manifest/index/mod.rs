//! `oras manifest index`: creates and updates image indexes.

mod create;
mod index_output;
mod update;

use clap::{ArgMatches, Command};

use crate::args;
use crate::cmd::command_table::{self, CommandEntry};
use crate::failure::Failure;

const COMMANDS: &[CommandEntry] = &[
    CommandEntry::new("create", create::command, |matches| Box::pin(create::run(matches))),
    CommandEntry::new("update", update::command, |matches| Box::pin(update::run(matches))),
];

/// Creates the group with its commands.
pub(crate) fn command() -> Command {
    args::group("index", "Make and change image indexes").subcommands(command_table::declare(COMMANDS))
}

/// Runs a command of the group.
pub(crate) async fn run(matches: &ArgMatches) -> Result<(), Failure> {
    command_table::run(COMMANDS, matches).await
}
