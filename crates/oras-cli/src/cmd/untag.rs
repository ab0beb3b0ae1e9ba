//! `oras untag`, also as `oras repo rm-tag`.

use clap::{ArgMatches, Command};
use oras::report;

use crate::args::{self, FormatArgs, LocationArgs, Usage, flags};
use crate::artifact_location::ArtifactLocation;
use crate::failure::Failure;
use crate::format::{self, Format};
use crate::print;

const USAGE: Usage = Usage { path: "oras untag", tail: "[flags] <name>:<tag> [...]" };

flags::flags! {
    /// The arguments of `oras untag`.
    struct UntagArgs {
        #[flatten] location: LocationArgs,
        #[flatten] format: FormatArgs,
        words: Vec<String> = flags::positional("<name>:<tag> [<tag>|<name>:<tag>]", "Tags"),
    }
}

/// Creates the command.
pub(crate) fn command(name: &'static str) -> Command {
    args::command(
        name,
        "Remove tags, never manifests",
        concat!(
            "Examples:\n",
            "  oras untag localhost:5000/hello:v1\n",
            "  oras untag localhost:5000/hello:v1 v2 v3\n",
            "  oras untag --oci-layout ./layout:v1\n\n",
            "The manifest stays, under its digest and its other tags. Where a registry can't delete a tag, the tag is ",
            "moved to a new manifest that nothing else can name, and that one is deleted by its digest."
        ),
    )
    .args(UntagArgs::flags(""))
}

/// Runs the command.
pub(crate) async fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let args = UntagArgs::read(matches, "");
    USAGE.check(&args.words, 1, false, "the tags to remove")?;
    let format = Format::read(&args.format, format::TEXT).await?;
    // All arguments are checked before the first tag is removed.
    let mut targets: Vec<ArtifactLocation> = Vec::new();
    for (place, word) in args.words.iter().enumerate() {
        // A later argument that is a valid tag names a tag in the repository of the first argument.
        let bare = place > 0 && oras::spec::reference::check_tag(word).is_ok();
        let target = match targets.first() {
            Some(first) if bare => first.sibling(&args.location, word)?,
            _ => ArtifactLocation::new(&args.location, "", word)?,
        };
        target.require_reference(&USAGE, true)?;
        targets.push(target);
    }
    let mut report = report::Untag::default();
    for target in &targets {
        let node = oras::untag(target.deleting_store().await?, &target.reference)
            .await
            .map_err(|error| target.failure(&error.context(format!("failed to untag {}", target.raw))))?;
        if matches!(format, Format::Text) {
            print::status(format!("Untagged {}\nDigest: {}", target.display(), node.digest))?;
        }
        let node = report::Node::new(&target.path, &node);
        report.untagged.push(report::Untagged { node, tag: target.reference.clone() });
    }
    format.report(&report).await
}
