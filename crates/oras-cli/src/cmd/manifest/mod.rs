//! `oras manifest`: the commands for single manifests and indexes.

mod delete;
mod fetch;
mod fetch_config;
mod index;
mod push;

use clap::{ArgMatches, Command};

use crate::args;
use crate::failure::Failure;

/// Creates the group with its commands.
pub(crate) fn command() -> Command {
    args::group("manifest", "Work with manifests").subcommands([
        delete::command(),
        fetch::command(),
        fetch_config::command(),
        index::command(),
        push::command(),
    ])
}

/// Runs the command `name`.
pub(crate) async fn run(name: &str, matches: &ArgMatches) -> Result<(), Failure> {
    match (name, matches.subcommand()) {
        ("delete", _) => delete::run(matches).await,
        ("fetch-config", _) => fetch_config::run(matches).await,
        ("push", _) => push::run(matches).await,
        ("index", Some((name, matches))) => index::run(name, matches).await,
        _ => fetch::run(matches).await,
    }
}
