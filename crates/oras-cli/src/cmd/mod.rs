//! One file per command: open the stores, call the library once, print the report.

mod attach;
mod backup;
mod blob;
mod cp;
mod discover;
mod login;
mod logout;
mod manifest;
mod pack;
mod pull;
mod push;
mod repo;
mod resolve;
mod restore;
mod tag;
pub(crate) mod version;

use std::io::IsTerminal;

use clap::{ArgMatches, Command};
use oras::spec::{Descriptor, Platform, json};

use crate::args::flags::Matches;
use crate::error::Failure;
use crate::format::Format;
use crate::output::Printer;
use crate::status::Look;

/// The whole command line.
pub(crate) fn root() -> Command {
    Command::new("oras")
        .about("Move artifacts in and out of OCI registries and OCI image layouts")
        .disable_version_flag(true)
        .disable_help_subcommand(false)
        .subcommand_required(true)
        .arg_required_else_help(true)
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
            attach::command(),
            backup::command(),
            restore::command(),
            blob::command(),
            manifest::command(),
            repo::command(),
        ])
}

/// Runs the command `name`.
pub(crate) async fn run(name: &str, matches: &ArgMatches, printer: &Printer) -> Result<(), Failure> {
    let nested = matches.subcommand();
    if matches.given("verbose") || nested.is_some_and(|(_, matches)| matches.given("verbose")) {
        printer.error("Flag --verbose has been deprecated, and will be removed in a future release.");
    }
    match (name, nested) {
        ("push", _) => push::run(matches, printer).await,
        ("pull", _) => pull::run(matches, printer).await,
        ("cp", _) => cp::run(matches, printer).await,
        ("attach", _) => attach::run(matches, printer).await,
        ("backup", _) => backup::run(matches, printer).await,
        ("restore", _) => restore::run(matches, printer).await,
        ("discover", _) => discover::run(matches, printer).await,
        ("resolve", _) => resolve::run(matches, printer).await,
        ("tag", _) => tag::run(matches, printer).await,
        ("login", _) => login::run(matches, printer).await,
        ("logout", _) => logout::run(matches).await,
        ("blob", Some((name, matches))) => blob::run(name, matches, printer).await,
        ("manifest", Some((name, matches))) => manifest::run(name, matches, printer).await,
        ("repo", Some((name, matches))) => repo::run(name, matches, printer).await,
        _ => Err(Failure::new(format!("unknown command {name:?} for \"oras\""))),
    }
}

/// How to show progress: bars where a person watches, lines in text format, nothing beside a report.
fn look(matches: &ArgMatches, format: &Format) -> Look {
    let watched = std::io::stderr().is_terminal() && !matches.on("no-tty") && !matches.on("debug");
    if watched {
        Look::Bars
    } else if format.is_for_people() {
        Look::Lines { verbose: matches.switch("verbose").unwrap_or(true) }
    } else {
        Look::Quiet
    }
}

/// Reads `--platform` or `--artifact-platform`.
fn platform(matches: &ArgMatches, name: &str) -> Result<Option<Platform>, Failure> {
    match matches.text(name).filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => text
            .parse()
            .map(Some)
            .map_err(|error: oras::spec::platform::PlatformError| Failure::new(error.to_string())),
    }
}

/// Prints the descriptor that `--descriptor` asks for.
fn print_descriptor(matches: &ArgMatches, printer: &Printer, node: &Descriptor) -> Result<(), Failure> {
    if matches.on("pretty") { printer.json(node) } else { printer.bytes(&json::to_vec(node)) }
}
