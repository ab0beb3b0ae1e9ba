//! `oras resolve`.

use clap::{ArgMatches, Command};
use oras::report;

use crate::args::{self, FormatArgs, LocationArgs, Usage, flags, values};
use crate::artifact_location::ArtifactLocation;
use crate::failure::Failure;
use crate::format::{self, Format};
use crate::print;

const USAGE: Usage = Usage { path: "oras resolve", tail: "[flags] <name>{:<tag>|@<digest>}" };

flags::flags! {
    /// The arguments of `oras resolve`.
    struct ResolveArgs {
        #[flatten] location: LocationArgs,
        #[flatten] format: FormatArgs,
        _verbose: bool = flags::verbose(),
        platform: Option<String> = flags::platform(),
        full_reference: bool = flags::switch("Print the name too").short('l'),
        words: Vec<String> = flags::positional("<name>{:<tag>|@<digest>}", "Artifact"),
    }
}

/// Creates the command.
pub(crate) fn command() -> Command {
    args::command(
        "resolve",
        "Print the digest of a reference",
        "Examples:\n  oras resolve localhost:5000/hello:v1",
    )
    .visible_alias("digest")
    .args(ResolveArgs::flags(""))
}

/// Runs the command.
pub(crate) async fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let args = ResolveArgs::read(matches, "");
    USAGE.check(&args.words, 1, true, "the target artifact reference to resolve")?;
    let platform = values::platform(args.platform.as_ref())?;
    let format = Format::read(&args.format, format::TEXT).await?;
    let target = ArtifactLocation::new(&args.location, "", &args.words[0])?;
    let source = target.source().await?;
    let reference = target.require_reference(&USAGE, true)?;
    let node = oras::resolve(source, reference, platform.as_ref())
        .await
        .map_err(|error| target.failure(&error.context("failed to resolve digest")))?;
    if !format.is_for_people() {
        return format.report(&report::Node::new(&target.path, &node)).await;
    }
    if args.full_reference {
        print::line(format!("{}@{}", target.path, node.digest))
    } else {
        print::line(node.digest.to_string())
    }
}
