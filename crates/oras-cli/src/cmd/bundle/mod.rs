//! `oras bundle`: the commands for bundles of many repositories.

mod create;
mod ls;
mod receipt;
mod restore;
mod sources;
mod verify;

use clap::{ArgMatches, Command};

use crate::args;
use crate::cmd::command_table::{self, CommandEntry};
use crate::failure::Failure;

const COMMANDS: &[CommandEntry] = &[
    CommandEntry::new("create", create::command, |matches| Box::pin(create::run(matches))),
    CommandEntry::new("ls", ls::command, |matches| Box::pin(ls::run(matches))),
    CommandEntry::new("receipt", receipt::command, |matches| Box::pin(receipt::run(matches))),
    CommandEntry::new("restore", restore::command, |matches| Box::pin(restore::run(matches))),
    CommandEntry::new("verify", verify::command, |matches| Box::pin(verify::run(matches))),
];

/// Creates the group with its commands.
pub(crate) fn command() -> Command {
    args::group("bundle", "Carry many repositories in one file, and prove it complete")
        .subcommands(command_table::declare(COMMANDS))
}

/// Runs a command of the group.
pub(crate) async fn run(matches: &ArgMatches) -> Result<(), Failure> {
    command_table::run(COMMANDS, matches).await
}
