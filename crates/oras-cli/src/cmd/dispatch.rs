//! The root command, and the choice of the command to run.

use clap::{ArgMatches, Command};

use super::{
    annotate, attach, backup, blob, completion, cp, discover, help, login, logout, manifest, partial, pull,
    push, repo, resolve, restore, serve, tag, untag, version,
};
use crate::args::flags;
use crate::failure::Failure;
use crate::log;

/// Creates the root command.
pub(crate) fn root() -> Command {
    Command::new("oras")
        .about("Move artifacts in and out of OCI registries and OCI image layouts")
        .disable_version_flag(true)
        .disable_help_subcommand(true)
        .args_override_self(true)
        .subcommands([
            pull::command(),
            push::command(),
            login::command(),
            logout::command(),
            version::command(),
            discover::command(),
            resolve::command(),
            cp::command(),
            tag::command(),
            untag::command("untag"),
            annotate::command(),
            attach::command(),
            backup::command(),
            restore::command(),
            blob::command(),
            manifest::command(),
            repo::command(),
            partial::command(),
            serve::command(),
            completion::command(),
            help::command(),
        ])
}

/// Runs the command `name`.
pub(crate) async fn run(name: &str, matches: &ArgMatches) -> Result<(), Failure> {
    let nested = matches.subcommand();
    // `--debug` belongs to the innermost command, such as `blob fetch`.
    let (mut leaf, mut next) = (matches, nested);
    while let Some((_, inner)) = next {
        (leaf, next) = (inner, inner.subcommand());
    }
    if flags::value(leaf, "", "debug") {
        log::show_requests();
    }
    match (name, nested) {
        ("push", _) => push::run(matches).await,
        ("pull", _) => pull::run(matches).await,
        ("cp", _) => cp::run(matches).await,
        ("attach", _) => attach::run(matches).await,
        ("backup", _) => backup::run(matches).await,
        ("restore", _) => restore::run(matches).await,
        ("discover", _) => discover::run(matches).await,
        ("serve", _) => serve::run(matches).await,
        ("resolve", _) => resolve::run(matches).await,
        ("untag", _) => untag::run(matches).await,
        ("annotate", _) => annotate::run(matches).await,
        ("tag", _) => tag::run(matches).await,
        ("login", _) => login::run(matches).await,
        ("logout", _) => logout::run(matches).await,
        ("blob", Some((name, matches))) => blob::run(name, matches).await,
        ("manifest", Some((name, matches))) => manifest::run(name, matches).await,
        ("partial", Some((name, matches))) => partial::run(name, matches).await,
        ("repo", Some((name, matches))) => repo::run(name, matches).await,
        _ => Err(Failure::new(format!("unknown command {name:?} for \"oras\""))),
    }
}
