//! `oras repo`: lists the repositories of a registry and the tags of a repository.

mod ls;
mod tags;

use clap::{ArgMatches, Command};

use crate::args;
use crate::cmd::untag;
use crate::failure::Failure;

/// Creates the group with its commands.
pub(crate) fn command() -> Command {
    args::group("repo", "Work with repositories").visible_alias("repository").subcommands([
        ls::command(),
        tags::command(),
        untag::command("rm-tag"),
    ])
}

/// Runs the command `name`.
pub(crate) async fn run(name: &str, matches: &ArgMatches) -> Result<(), Failure> {
    match name {
        "ls" => ls::run(matches).await,
        "rm-tag" => untag::run(matches).await,
        _ => tags::run(matches).await,
    }
}
