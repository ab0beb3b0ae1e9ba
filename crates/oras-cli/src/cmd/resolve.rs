//! `oras resolve`.

use clap::{ArgMatches, Command};
use oras::report;

use super::platform;
use crate::args;
use crate::args::flags::{self, Matches};
use crate::error::Failure;
use crate::format::{self, Format};
use crate::output::Printer;
use crate::target::{Target, Usage};

const USAGE: Usage = Usage { path: "oras resolve", tail: "[flags] <name>{:<tag>|@<digest>}" };

/// The command with its flags.
pub(crate) fn command() -> Command {
    args::command(
        "resolve",
        "Print the digest of a reference",
        "Examples:\n  oras resolve localhost:5000/hello:v1",
    )
    .visible_alias("digest")
    .args(flags::common())
    .args(flags::remote(""))
    .args(flags::layout(""))
    .args(flags::format_too())
    .args([
        flags::verbose(),
        flags::platform(),
        flags::switch("full-reference", "Print the name too").short('l'),
        flags::positional("<name>{:<tag>|@<digest>}", "Artifact"),
    ])
}

/// Runs it.
pub(crate) async fn run(matches: &ArgMatches, printer: &Printer) -> Result<(), Failure> {
    let words = matches.words();
    USAGE.check(&words, 1, true, "the target artifact reference to resolve")?;
    let platform = platform(matches, "platform")?;
    let format = Format::read(matches, format::TEXT, *printer)?;
    let target = Target::new(matches, "", &words[0], printer)?;
    let source = target.source().await?;
    let reference = target.require_reference(&USAGE, true)?;
    let node = oras::resolve(source, reference, platform.as_ref())
        .await
        .map_err(|error| target.failure(&error.context("failed to resolve digest")))?;
    if !format.is_for_people() {
        return printer.report(&format, &report::Node::new(&target.path, &node));
    }
    if matches.on("full-reference") {
        printer.line(format!("{}@{}", target.path, node.digest))
    } else {
        printer.line(node.digest.to_string())
    }
}
