//! `oras layout`: shows, checks and repairs OCI image layouts, and collects their garbage.

mod check;
mod check_progress;
mod du;
mod gc;
mod ls;
mod repair;
mod tag;

use clap::{ArgMatches, Command};

use crate::args;
use crate::cmd::command_table::{self, CommandEntry};
use crate::failure::Failure;

const COMMANDS: &[CommandEntry] = &[
    CommandEntry::new("ls", ls::command, |matches| Box::pin(ls::run(matches))),
    CommandEntry::new("du", du::command, |matches| Box::pin(du::run(matches))),
    CommandEntry::new("check", check::command, |matches| Box::pin(check::run(matches))),
    CommandEntry::new("repair", repair::command, |matches| Box::pin(repair::run(matches))),
    CommandEntry::new("gc", gc::command, |matches| Box::pin(gc::run(matches))),
    CommandEntry::new("tag", tag::command, |matches| Box::pin(tag::run(matches))),
];

/// Creates the group with its commands.
pub(crate) fn command() -> Command {
    args::group("layout", "List, check, repair and clean up OCI image layouts")
        .subcommands(command_table::declare(COMMANDS))
}

/// Runs a command of the group.
pub(crate) async fn run(matches: &ArgMatches) -> Result<(), Failure> {
    command_table::run(COMMANDS, matches).await
}
