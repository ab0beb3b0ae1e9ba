//! `oras blob`: the commands for single blobs.

mod delete;
mod fetch;
mod push;

use clap::{ArgMatches, Command};

use crate::args;
use crate::failure::Failure;
use crate::printer::Printer;

/// Creates the group with its commands.
pub(crate) fn command() -> Command {
    args::group("blob", "Work with blobs").subcommands([delete::command(), fetch::command(), push::command()])
}

/// Runs the command `name`.
pub(crate) async fn run(name: &str, matches: &ArgMatches, printer: &Printer) -> Result<(), Failure> {
    match name {
        "delete" => delete::run(matches, printer).await,
        "fetch" => fetch::run(matches, printer).await,
        _ => push::run(matches, printer).await,
    }
}
