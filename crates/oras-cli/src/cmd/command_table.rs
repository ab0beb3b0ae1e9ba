//! Tables of commands: their names, their declarations, and the functions that run them.

use clap::{ArgMatches, Command};
use futures::future::LocalBoxFuture;

use crate::failure::Failure;

type RunCommand = fn(&ArgMatches) -> LocalBoxFuture<'_, Result<(), Failure>>;

/// A command or a group of commands.
pub(super) struct CommandEntry {
    name: &'static str,
    declare: fn() -> Command,
    run: RunCommand,
}

impl CommandEntry {
    pub(super) const fn new(name: &'static str, declare: fn() -> Command, run: RunCommand) -> Self {
        Self { name, declare, run }
    }
}

/// Declares all commands of a table.
pub(super) fn declare(commands: &[CommandEntry]) -> impl Iterator<Item = Command> {
    commands.iter().map(|command| (command.declare)())
}

/// Runs the command of a table that the matches name.
pub(super) async fn run(commands: &[CommandEntry], matches: &ArgMatches) -> Result<(), Failure> {
    let Some((name, matches)) = matches.subcommand() else { return Ok(()) };
    match commands.iter().find(|command| command.name == name) {
        Some(command) => (command.run)(matches).await,
        None => Err(Failure::new(format!("unknown command {name:?} for \"oras\""))),
    }
}
