//! `oras manifest`: the commands for single manifests and indexes.

mod delete;
mod fetch;
mod fetch_config;
mod index;
mod push;

use clap::{ArgMatches, Command};

use crate::args;
use crate::cmd::command_table::{self, CommandEntry};
use crate::failure::Failure;

const COMMANDS: &[CommandEntry] = &[
    CommandEntry::new("delete", delete::command, |matches| Box::pin(delete::run(matches))),
    CommandEntry::new("fetch", fetch::command, |matches| Box::pin(fetch::run(matches))),
    CommandEntry::new("fetch-config", fetch_config::command, |matches| Box::pin(fetch_config::run(matches))),
    CommandEntry::new("index", index::command, |matches| Box::pin(index::run(matches))),
    CommandEntry::new("push", push::command, |matches| Box::pin(push::run(matches))),
];

/// Creates the group with its commands.
pub(crate) fn command() -> Command {
    args::group("manifest", "Work with manifests").subcommands(command_table::declare(COMMANDS))
}

/// Runs a command of the group.
pub(crate) async fn run(matches: &ArgMatches) -> Result<(), Failure> {
    command_table::run(COMMANDS, matches).await
}
