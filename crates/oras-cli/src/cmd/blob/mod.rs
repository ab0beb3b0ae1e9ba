//! `oras blob`: the commands for single blobs.

mod delete;
mod fetch;
mod push;

use clap::{ArgMatches, Command};

use crate::args;
use crate::failure::Failure;

/// Creates the group with its commands.
pub(crate) fn command() -> Command {
    args::group("blob", "Work with blobs").subcommands([delete::command(), fetch::command(), push::command()])
}

/// Runs the command `name`.
pub(crate) async fn run(name: &str, matches: &ArgMatches) -> Result<(), Failure> {
    match name {
        "delete" => delete::run(matches).await,
        "fetch" => fetch::run(matches).await,
        _ => push::run(matches).await,
    }
}
