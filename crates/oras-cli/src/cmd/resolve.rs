//! `oras resolve`.

use clap::ArgMatches;

use super::platform;
use crate::args::flags::Matches;
use crate::error::Failure;
use crate::output::Printer;
use crate::target::{Target, Usage};

const USAGE: Usage = Usage { path: "oras resolve", tail: "[flags] <name>{:<tag>|@<digest>}" };

pub(crate) async fn run(matches: &ArgMatches, printer: &Printer) -> Result<(), Failure> {
    let words = matches.words();
    USAGE.check(&words, 1, true, "the target artifact reference to resolve")?;
    let platform = platform(matches, "platform")?;
    let target = Target::new(matches, "", &words[0], printer)?;
    let source = target.source().await?;
    let reference = target.require_reference(&USAGE, true)?;
    let node = oras::resolve(source, reference, platform.as_ref())
        .await
        .map_err(|error| target.failure(&error.context("failed to resolve digest")))?;
    if matches.on("full-reference") {
        printer.line(format!("{}@{}", target.path, node.digest))
    } else {
        printer.line(node.digest.to_string())
    }
}
