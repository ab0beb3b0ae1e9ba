//! `oras layout tag`.

use clap::{ArgMatches, Command};
use oras::{Quiet, report};
use serde::Serialize;

use crate::args::{self, FormatArgs, LocationArgs, Usage, flags};
use crate::artifact_location::ArtifactLocation;
use crate::failure::Failure;
use crate::format::{self, Format};
use crate::print;

const USAGE: Usage = Usage { path: "oras layout tag", tail: "[flags] <path>{:<tag>|@<digest>} <tag> [...]" };

flags::flags! {
    /// The arguments of `oras layout tag`.
    struct TagArgs {
        #[flatten] format: FormatArgs,
        rm: bool = flags::switch("Remove the tags instead of adding them"),
        words: Vec<String> =
            flags::positional("<path>{:<tag>|@<digest>} <tag> [...]", "Artifact in a layout, then tags"),
    }
}

/// Creates the command.
pub(super) fn command() -> Command {
    args::command(
        "tag",
        "Add or remove tags of an OCI layout",
        concat!(
            "A manifest that loses its last tag stays, without a tag; \"oras layout gc --untagged\" deletes it.\n\n",
            "Examples:\n",
            "  oras layout tag ./layout:v1 latest stable\n",
            "  oras layout tag --rm ./layout:v1\n",
            "  oras layout tag --rm ./layout:v1 v2 v3"
        ),
    )
    .args(TagArgs::flags(""))
}

/// The report of removed tags for programs.
#[derive(Serialize)]
struct Removed {
    removed: Vec<report::Untagged>,
}

/// Runs the command.
pub(super) async fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let args = TagArgs::read(matches, "");
    let count = if args.rm { 1 } else { 2 };
    USAGE.check(&args.words, count, false, "the artifact and its tags")?;
    let format = Format::read(&args.format, format::TEXT).await?;
    let location = LocationArgs::read(matches, "").into_layout();
    let target = ArtifactLocation::new(&location, "", &args.words[0])?;
    target.require_reference(&USAGE, true)?;
    let (first, others) = (target.reference.clone(), &args.words[1..]);
    let layout = oras::Layout::open_writable(&target.path).await.map_err(|error| target.failure(&error))?;
    if !args.rm {
        let node = target.explain(oras::tag(layout, &first, others, 1, Quiet).await)?;
        if format.is_for_people() {
            for tag in others {
                print::status(format!("Tagged {tag}\nDigest: {}", node.digest))?;
            }
        }
        let node = report::Node::new(&target.path, &node);
        return format.report(&report::Tag { node, tags: others.to_vec() }).await;
    }
    let mut removed = Vec::new();
    for tag in std::iter::once(&first).chain(others) {
        let failed = |error: oras::store::Error| {
            target.failure(&error.context(format!("failed to untag {}:{tag}", target.path)))
        };
        let node = oras::untag(layout.clone(), tag).await.map_err(failed)?;
        if format.is_for_people() {
            print::status(format!("Untagged {}:{tag}\nDigest: {}", target.path, node.digest))?;
        }
        removed.push(report::Untagged { node: report::Node::new(&target.path, &node), tag: tag.clone() });
    }
    format.report(&Removed { removed }).await
}
