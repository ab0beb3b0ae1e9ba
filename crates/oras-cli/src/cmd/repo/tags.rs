//! `oras repo tags`.

use clap::{ArgMatches, Command};
use futures::TryStreamExt;
use oras::report;
use oras::spec::{Digest, Reference};

use crate::args;
use crate::args::flags::{self, Matches};
use crate::error::Failure;
use crate::format::{self, Format};
use crate::output::Printer;
use crate::target::{Target, Usage};

const USAGE: Usage = Usage { path: "oras repo tags", tail: "[flags] <name>" };

/// The command with its flags.
pub(crate) fn command() -> Command {
    args::command("tags", "List the tags of a repository", "Examples:\n  oras repo tags localhost:5000/hello")
        .visible_alias("show-tags")
        .args(flags::common())
        .args(flags::remote(""))
        .args(flags::layout(""))
        .args(flags::format())
        .args([
            flags::verbose(),
            flags::text("last", "TAG", "Start after this tag"),
            flags::switch("exclude-digest-tags", "Leave out tags such as sha256-…"),
            flags::positional("<name>", "Repository"),
        ])
}

/// Runs it.
pub(crate) async fn run(matches: &ArgMatches, printer: &Printer) -> Result<(), Failure> {
    let words = matches.words();
    USAGE.check(&words, 1, true, "the target repository to list tags from")?;
    let target = Target::new(matches, "", &words[0], printer)?;
    let format = Format::read(matches, format::TEXT, *printer)?;
    let store = target.source().await?;
    let prefix = match target.reference.parse::<Reference>() {
        Ok(reference) if target.kind() == "oci-layout" && reference.target().is_none() => {
            format!("{}:", reference.name())
        }
        _ => String::new(),
    };
    let digest = if prefix.is_empty() && !target.reference.is_empty() {
        let digest = match target.reference.parse::<Digest>() {
            Ok(digest) => digest,
            Err(_) => store.resolve(&target.reference).await.map_err(|error| target.failure(&error))?.digest,
        };
        printer
            .error(&format!("[Experimental] querying tags associated to {digest}, it may take a while..."));
        Some(digest)
    } else {
        None
    };
    let last = matches.text("last");
    let mut listed = report::Tags::default();
    let mut tags = store.tags(last.as_deref());
    while let Some(tag) = tags.try_next().await.map_err(|error| target.failure(&error))? {
        let Some(short) = tag.strip_prefix(&prefix) else { continue };
        if matches.on("exclude-digest-tags") && short.replacen('-', ":", 1).parse::<Digest>().is_ok() {
            continue;
        }
        if let Some(digest) = &digest
            && tag != target.reference
            && store.resolve(&tag).await.map_err(|error| target.failure(&error))?.digest != *digest
        {
            continue;
        }
        match &format {
            Format::Text => printer.line(short)?,
            _ => listed.tags.push(short.to_owned()),
        }
    }
    printer.report(&format, &listed)
}
