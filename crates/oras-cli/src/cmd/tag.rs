//! `oras tag`.

use std::sync::Arc;

use clap::{ArgMatches, Command};
use oras::{Listener, Quiet, Step, report};

use crate::args::{self, FormatArgs, LocationArgs, Usage, flags, values};
use crate::artifact_location::ArtifactLocation;
use crate::failure::Failure;
use crate::format::{self, Format};
use crate::print;

const USAGE: Usage = Usage { path: "oras tag", tail: "[flags] <name>{:<tag>|@<digest>} <new_tag> [...]" };

flags::flags! {
    /// The arguments of `oras tag`.
    struct TagArgs {
        #[flatten] location: LocationArgs,
        #[flatten] format: FormatArgs,
        _verbose: bool = flags::verbose(),
        concurrency: Option<i64> = flags::concurrency(),
        words: Vec<String> = flags::positional("<name>{:<tag>|@<digest>} <new_tag>", "Artifact, then tags"),
    }
}

/// Creates the command.
pub(crate) fn command() -> Command {
    args::command(
        "tag",
        "Give an artifact more tags",
        "Examples:\n  oras tag localhost:5000/hello:v1 v1.0 latest",
    )
    .args(TagArgs::flags(""))
}

/// Runs the command.
pub(crate) async fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let args = TagArgs::read(matches, "");
    let words = &args.words;
    // This check comes first: otherwise `oras tag list` would fail because of a missing argument.
    if matches!(words.first().map(String::as_str), Some("list" | "ls")) {
        let container = if args.location.layout.oci_layout == Some(true) {
            "an OCI image layout"
        } else {
            "a repository"
        };
        return Err(Failure::new("there is no \"list\" sub-command for \"oras tag\" command")
            .usage(USAGE.line())
            .advise(format!("If you want to list available tags in {container}, use \"oras repo tags\"")));
    }
    USAGE.check(words, 2, false, "the artifact to be retagged and the tags to be added")?;
    let target = ArtifactLocation::new(&args.location, "", &words[0]).map_err(|failure| {
        let message = format!("unable to add tag for '{}': {}", words[0], failure.message);
        if failure.message.contains("invalid reference") { Failure { message, ..failure } } else { failure }
    })?;
    let format = Format::read(&args.format, format::TEXT).await?;
    let store = target.store().await?;
    let reference = target.require_reference(&USAGE, true)?;
    let lines: Arc<dyn Listener> = if format.is_for_people() {
        Arc::new(Lines { path: target.display_as(&target.path) })
    } else {
        Arc::new(Quiet)
    };
    let concurrency = values::count(args.concurrency, 5);
    let node = target.explain(oras::tag(store, reference, &words[1..], concurrency, lines).await)?;
    let node = report::Node::new(&target.path, &node);
    format.report(&report::Tag { node, tags: words[1..].to_vec() }).await
}

struct Lines {
    path: String,
}

impl Listener for Lines {
    fn step(&self, step: Step<'_>) {
        let line = match step {
            Step::Tagging(node) => format!("Tagging {}@{}", self.path, node.digest),
            Step::Tagged(tag) => format!("Tagged {tag}"),
            _ => return,
        };
        drop(print::status(line));
    }
}
