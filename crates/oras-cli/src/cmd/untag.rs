//! `oras untag`, also as `oras repo rm-tag`.

use clap::{ArgMatches, Command};
use oras::report;

use crate::args;
use crate::args::flags::{self, Matches};
use crate::error::Failure;
use crate::format::{self, Format};
use crate::output::Printer;
use crate::target::{Target, Usage};

const USAGE: Usage = Usage { path: "oras untag", tail: "[flags] <name>:<tag> [...]" };

/// The command with its flags.
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
    .args(flags::common())
    .args(flags::remote(""))
    .args(flags::layout(""))
    .args(flags::format_too())
    .arg(flags::positional("<name>:<tag> [<tag>|<name>:<tag>]", "Tags"))
}

/// Runs it.
pub(crate) async fn run(matches: &ArgMatches, printer: &Printer) -> Result<(), Failure> {
    let words = matches.words();
    USAGE.check(&words, 1, false, "the tags to remove")?;
    let format = Format::read(matches, format::TEXT, *printer)?;
    let mut targets = Vec::new();
    for (place, word) in words.iter().enumerate() {
        // A bare tag, which no reference looks like, is one of the first repository.
        let bare = place > 0 && oras::spec::reference::check_tag(word).is_ok();
        let target = match targets.first() {
            Some(first) if bare => Target::sibling(matches, first, word, printer)?,
            _ => Target::new(matches, "", word, printer)?,
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
            printer.line(format!("Untagged {}\nDigest: {}", target.display(), node.digest))?;
        }
        let node = report::Node::new(&target.path, &node);
        report.untagged.push(report::Untagged { node, tag: target.reference.clone() });
    }
    printer.report(&format, &report)
}
