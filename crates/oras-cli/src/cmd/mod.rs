//! One file per command: open the stores, call the library once, print the report.

mod attach;
mod blob;
mod cp;
mod discover;
mod login;
mod manifest;
mod pack;
mod pull;
mod push;
mod repo;
mod resolve;
mod tag;
pub(crate) mod version;

use std::io::IsTerminal;

use clap::ArgMatches;
use oras::spec::Platform;

use crate::args::flags::Matches;
use crate::error::Failure;
use crate::output::Printer;
use crate::status::Look;

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
        ("discover", _) => discover::run(matches, printer).await,
        ("resolve", _) => resolve::run(matches, printer).await,
        ("tag", _) => tag::run(matches, printer).await,
        ("login", _) => login::login(matches, printer).await,
        ("logout", _) => login::logout(matches).await,
        ("blob", Some(("fetch", matches))) => blob::fetch(matches, printer).await,
        ("blob", Some(("push", matches))) => blob::push(matches, printer).await,
        ("manifest", Some(("fetch", matches))) => manifest::fetch(matches, printer).await,
        ("repo", Some(("ls", matches))) => repo::ls(matches, printer).await,
        ("repo", Some(("tags", matches))) => repo::tags(matches, printer).await,
        _ => Err(Failure::new(format!("unknown command {name:?} for \"oras\""))),
    }
}

/// The output of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Reads `--format`.
fn format(matches: &ArgMatches, supported: &str) -> Result<Format, Failure> {
    let format = matches.text("format").unwrap_or_default();
    if matches.text("template").is_some_and(|template| !template.is_empty()) && format != "go-template" {
        return Err(Failure::new("--template must be used with --format go-template"));
    }
    match format.as_str() {
        "" | "text" | "tree" if format.is_empty() || supported.ends_with(&format) => Ok(Format::Text),
        "json" => Ok(Format::Json),
        other if other == "go-template" || other.starts_with("go-template=") => {
            Err(Failure::new("the format go-template is not supported yet")
                .advise("use `--format json` instead"))
        }
        other => Err(Failure::new(format!("invalid format type: {other:?}"))
            .advise(format!("supported types: {supported}"))),
    }
}

/// How to show progress: bars where a person watches, lines in text format, nothing beside a report.
fn look(matches: &ArgMatches, format: Format) -> Look {
    let watched = std::io::stderr().is_terminal() && !matches.on("no-tty") && !matches.on("debug");
    match format {
        _ if watched => Look::Bars,
        Format::Text => Look::Lines { verbose: matches.switch("verbose").unwrap_or(true) },
        Format::Json => Look::Quiet,
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
