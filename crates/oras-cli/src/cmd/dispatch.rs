//! The root command, and the choice of the command to run.

use clap::{ArgMatches, Command};

use super::{
    annotate, attach, backup, blob, completion, cp, discover, help, login, logout, manifest, partial, pull,
    push, repo, resolve, restore, serve, tag, untag, version,
};
use crate::args::CommonArgs;
use crate::failure::Failure;
use crate::log;
use crate::printer::Printer;

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
pub(crate) async fn run(name: &str, matches: &ArgMatches, printer: &Printer) -> Result<(), Failure> {
    let nested = matches.subcommand();
    // `--debug` belongs to the innermost command, such as `blob fetch`.
    let (mut leaf, mut next) = (matches, nested);
    while let Some((_, inner)) = next {
        (leaf, next) = (inner, inner.subcommand());
    }
    if CommonArgs::read(leaf, "").debug {
        log::show_requests(*printer);
    }
    match (name, nested) {
        ("push", _) => push::run(matches, printer).await,
        ("pull", _) => pull::run(matches, printer).await,
        ("cp", _) => cp::run(matches, printer).await,
        ("attach", _) => attach::run(matches, printer).await,
        ("backup", _) => backup::run(matches, printer).await,
        ("restore", _) => restore::run(matches, printer).await,
        ("discover", _) => discover::run(matches, printer).await,
        ("serve", _) => serve::run(matches, printer).await,
        ("resolve", _) => resolve::run(matches, printer).await,
        ("untag", _) => untag::run(matches, printer).await,
        ("annotate", _) => annotate::run(matches, printer).await,
        ("tag", _) => tag::run(matches, printer).await,
        ("login", _) => login::run(matches, printer).await,
        ("logout", _) => logout::run(matches, printer).await,
        ("blob", Some((name, matches))) => blob::run(name, matches, printer).await,
        ("manifest", Some((name, matches))) => manifest::run(name, matches, printer).await,
        ("partial", Some((name, matches))) => partial::run(name, matches, printer).await,
        ("repo", Some((name, matches))) => repo::run(name, matches, printer).await,
        _ => Err(Failure::new(format!("unknown command {name:?} for \"oras\""))),
    }
}
