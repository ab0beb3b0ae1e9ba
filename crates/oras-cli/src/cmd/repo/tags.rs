//! `oras repo tags`.

use std::collections::BTreeMap;

use clap::{ArgMatches, Command};
use futures::stream::{self, StreamExt, TryStreamExt};
use globset::Glob;
use oras::report;
use oras::spec::{Digest, Reference, reference::is_digest_tag};
use oras::store::{Error, ReadStore};

use crate::args;
use crate::args::flags::{self, EXTENSIONS, Matches};
use crate::error::Failure;
use crate::format::{self, Format};
use crate::log;
use crate::natural;
use crate::output::Printer;
use crate::target::{Target, Usage};

/// Digests that are asked for at once.
const CONCURRENCY: usize = 8;

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
            flags::text("filter", "GLOB", "Only tags that match").help_heading(EXTENSIONS),
            flags::text("sort", "ORDER", "Sort by name or by version [default: the registry's order]")
                .value_parser(|order: &str| match order {
                    "name" | "version" => Ok(order.to_owned()),
                    _ => Err(format!("unknown order: {order}\nAvailable options: name, version")),
                })
                .help_heading(EXTENSIONS),
            flags::switch("digests", "Show the digest of each tag too").help_heading(EXTENSIONS),
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
        let text = format!("[Experimental] querying tags associated to {digest}, it may take a while...\n");
        log::warning(*printer, &text, &[]);
        Some(digest)
    } else {
        None
    };
    let filter = match matches.text("filter") {
        Some(text) => Glob::new(&text).map_err(|error| Failure::new(format!("invalid glob: {error}")))?,
        None => Glob::new("*").map_err(|error| Failure::new(error.to_string()))?,
    }
    .compile_matcher();
    // Without these flags each tag is told as soon as it is known.
    let whole = matches.given("sort") || matches.on("digests");
    let last = matches.text("last");
    let mut listed = report::Tags::default();
    let mut tags = store.tags(last.as_deref());
    while let Some(tag) = tags.try_next().await.map_err(|error| target.failure(&error))? {
        let Some(short) = tag.strip_prefix(&prefix) else { continue };
        if matches.on("exclude-digest-tags") && is_digest_tag(short) {
            continue;
        }
        if !filter.is_match(short) {
            continue;
        }
        if let Some(digest) = &digest
            && tag != target.reference
            && store.resolve(&tag).await.map_err(|error| target.failure(&error))?.digest != *digest
        {
            continue;
        }
        match &format {
            Format::Text if !whole => printer.line(short)?,
            _ => listed.tags.push(short.to_owned()),
        }
    }
    match matches.text("sort").as_deref() {
        Some("name") => listed.tags.sort(),
        Some(_) => listed.tags.sort_by(|a, b| natural::compare(a, b)),
        None => {}
    }
    if matches.on("digests") {
        let digests =
            digests(&*store, &prefix, &listed.tags).await.map_err(|error| target.failure(&error))?;
        listed.digests = Some(digests);
    }
    if whole && format.is_for_people() {
        let digest = |tag: &String| listed.digests.as_ref().and_then(|digests| digests.get(tag));
        for tag in &listed.tags {
            match digest(tag) {
                Some(digest) => printer.line(format!("{tag} {digest}"))?,
                None => printer.line(tag)?,
            }
        }
    }
    printer.report(&format, &listed)
}

/// The digest of each tag, several asked for at once.
async fn digests(
    store: &dyn ReadStore,
    prefix: &str,
    tags: &[String],
) -> Result<BTreeMap<String, Digest>, Error> {
    stream::iter(tags)
        .map(|tag| async move {
            let node = store.resolve(&format!("{prefix}{tag}")).await?;
            Ok((tag.clone(), node.digest))
        })
        .buffer_unordered(CONCURRENCY)
        .try_collect()
        .await
}
