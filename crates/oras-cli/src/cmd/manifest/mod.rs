//! `oras manifest`: manifests as they are.

mod fetch;

use clap::{ArgMatches, Command};

use crate::args;
use crate::error::Failure;
use crate::output::Printer;

/// The group with its commands.
pub(crate) fn command() -> Command {
    args::group("manifest", "Work with manifests").subcommands([fetch::command()])
}

/// Runs the command `name`.
pub(crate) async fn run(name: &str, matches: &ArgMatches, printer: &Printer) -> Result<(), Failure> {
    match name {
        _ => fetch::run(matches, printer).await,
    }
}
