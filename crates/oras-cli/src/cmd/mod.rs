//! One file per command: open the stores, call the library once, print the report.

mod annotate;
mod attach;
mod backup;
mod blob;
pub(crate) mod completion;
mod cp;
mod delete;
mod discover;
mod help;
mod login;
mod login_check;
mod logout;
mod manifest;
mod pack;
mod partial;
mod pull;
mod push;
mod repo;
mod resolve;
mod restore;
mod serve;
mod tag;
mod untag;
pub(crate) mod version;

use std::io::{ErrorKind, IsTerminal, Read};
use std::path::Path;
use std::sync::Arc;

use clap::{ArgMatches, Command};
use oras::Listener;
use oras::spec::{Descriptor, Platform, json};
use oras::store::outlet;

use crate::args::flags::Matches;
use crate::env;
use crate::error::Failure;
use crate::events::Events;
use crate::format::Format;
use crate::log;
use crate::output::Printer;
use crate::periodic::Periodic;
use crate::status::{self, Both, Look, Words};

/// The whole command line.
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
    let (mut leaf, mut next) = (matches, nested);
    while let Some((_, inner)) = next {
        (leaf, next) = (inner, inner.subcommand());
    }
    if leaf.on("debug") {
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

/// Returns true if a person follows the transfer on a terminal.
fn is_watched(matches: &ArgMatches) -> bool {
    std::io::stderr().is_terminal() && !matches.on("no-tty") && !matches.on("debug")
}

/// How to show progress: bars where a person watches, lines in text format, nothing beside a report.
fn look(matches: &ArgMatches, format: &Format) -> Look {
    if is_watched(matches) && !env::is_terminal_dumb() {
        Look::Bars
    } else if format.is_for_people() {
        Look::Lines { verbose: matches.switch("verbose").unwrap_or(true) }
    } else {
        Look::Quiet
    }
}

/// What a command shows while it works, as `--progress` says.
fn listener(words: Words, matches: &ArgMatches, format: &Format, printer: Printer) -> Arc<dyn Listener> {
    let shown = |look| status::listener(words, look, printer);
    let lines = match look(matches, format) {
        Look::Bars if words.dry || matches.given("progress") => Look::Lines { verbose: true },
        other => other,
    };
    match matches.text("progress").as_deref() {
        Some("json") => Arc::new(Both(shown(lines), Arc::new(Events::new(printer)))),
        Some("plain") => Arc::new(Both(shown(lines), Arc::new(Periodic::new(words, printer)))),
        Some("bars") => shown(Look::Bars),
        Some("none") => shown(Look::Quiet),
        // A terminal without cursor movement can't show bars.
        _ if is_watched(matches) && env::is_terminal_dumb() => {
            Arc::new(Both(shown(lines), Arc::new(Periodic::new(words, printer))))
        }
        _ => shown(lines),
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
    if matches.on("pretty") { printer.json(node) } else { printer.text(&json::to_vec(node)) }
}

/// Prints JSON as it is, or indented where `--pretty` asks for it.
fn print_json(matches: &ArgMatches, printer: &Printer, bytes: &[u8]) -> Result<(), Failure> {
    if !matches.on("pretty") {
        return printer.text(bytes);
    }
    let mut pretty =
        json::indent(bytes).map_err(|error| Failure::new(format!("failed to prettify: {error}")))?;
    pretty.push(b'\n');
    printer.text(&pretty)
}

/// Refuses to read standard input twice: for `file` and for a secret.
fn check_stdin(matches: &ArgMatches, file: &str) -> Result<(), Failure> {
    for (flag, what) in [("password-stdin", "password"), ("identity-token-stdin", "identity token")] {
        if file == "-" && matches.on(flag) {
            return Err(Failure::new(format!(
                "`-` read file from input and `--{flag}` read {what} from input cannot be both used"
            )));
        }
    }
    Ok(())
}

/// Writes a result to the file that `--output` names, whole or not at all.
fn write_output(path: &str, bytes: &[u8]) -> Result<(), Failure> {
    let path = Path::new(path);
    outlet::put(path, bytes).map_err(|error| {
        let missing = path.parent().is_some_and(|parent| parent != Path::new("") && !parent.exists());
        let shown = path.display().to_string();
        let cause = if missing {
            "no such file or directory".to_owned()
        } else if path.is_dir() {
            "is a directory".to_owned()
        } else {
            error.chain()
        };
        let message = format!("failed to open {shown:?}: open {shown}: {cause}");
        Failure::new(message).of_kind(error.kind())
    })
}

/// All of a file, or of standard input for `-`.
fn read_input(file: &str) -> Result<Vec<u8>, Failure> {
    if file.is_empty() {
        return Err(Failure::new("failed to read the file: the path is empty"));
    }
    let read = if file == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(file)
    };
    read.map_err(|error| {
        let opening = matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied);
        let verb = if opening { "open" } else { "read" };
        Failure::of_io(format!("failed to read {file}: {verb} {file}"), &error)
    })
}
