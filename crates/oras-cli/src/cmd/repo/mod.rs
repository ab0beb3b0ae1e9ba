//! `oras repo`: lists the repositories of a registry and the tags of a repository.

mod ls;
mod tags;

use clap::{ArgMatches, Command};

use crate::args;
use crate::cmd::command_table::{self, CommandEntry};
use crate::cmd::untag;
use crate::failure::Failure;

const COMMANDS: &[CommandEntry] = &[
    CommandEntry::new("ls", ls::command, |matches| Box::pin(ls::run(matches))),
    CommandEntry::new("tags", tags::command, |matches| Box::pin(tags::run(matches))),
    CommandEntry::new("rm-tag", || untag::command("rm-tag"), |matches| Box::pin(untag::run(matches))),
];

/// Creates the group with its commands.
pub(crate) fn command() -> Command {
    args::group("repo", "Work with repositories")
        .visible_alias("repository")
        .subcommands(command_table::declare(COMMANDS))
}

/// Runs a command of the group.
pub(crate) async fn run(matches: &ArgMatches) -> Result<(), Failure> {
    command_table::run(COMMANDS, matches).await
}
