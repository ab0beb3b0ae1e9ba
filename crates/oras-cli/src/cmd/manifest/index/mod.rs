//! `oras manifest index`: creates and updates image indexes.

mod create;
mod index_output;
mod update;

use clap::{ArgMatches, Command};

use crate::args;
use crate::failure::Failure;
use crate::printer::Printer;

/// Creates the group with its commands.
pub(crate) fn command() -> Command {
    args::group("index", "Make and change image indexes").subcommands([create::command(), update::command()])
}

/// Runs the command `name`.
pub(crate) async fn run(name: &str, matches: &ArgMatches, printer: &Printer) -> Result<(), Failure> {
    match name {
        "create" => create::run(matches, printer).await,
        _ => update::run(matches, printer).await,
    }
}
