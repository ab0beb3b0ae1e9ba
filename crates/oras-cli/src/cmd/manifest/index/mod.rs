//! `oras manifest index`: creates and updates image indexes.

mod create;
mod index_output;
mod update;

use clap::{ArgMatches, Command};

use crate::args;
use crate::failure::Failure;

/// Creates the group with its commands.
pub(crate) fn command() -> Command {
    args::group("index", "Make and change image indexes").subcommands([create::command(), update::command()])
}

/// Runs the command `name`.
pub(crate) async fn run(name: &str, matches: &ArgMatches) -> Result<(), Failure> {
    match name {
        "create" => create::run(matches).await,
        _ => update::run(matches).await,
    }
}
