//! `oras repo tags`.

use std::collections::BTreeMap;

use clap::{ArgMatches, Command};
use futures::stream::{self, StreamExt, TryStreamExt};
use globset::Glob;
use oras::report;
use oras::spec::{Digest, Reference, reference::is_digest_tag, version_order};
use oras::store::{Error, ReadStore};

use crate::args::{self, FormatArgs, LocationArgs, Usage, flags};
use crate::artifact_location::ArtifactLocation;
use crate::failure::Failure;
use crate::format::{self, Format};
use crate::log;
use crate::print;

/// The number of digests that are resolved at the same time.
// Each digest needs a request. One at a time, the command would wait for each response in turn.
const CONCURRENCY: usize = 8;

const USAGE: Usage = Usage { path: "oras repo tags", tail: "[flags] <name>" };

flags::flags! {
    /// The arguments of `oras repo tags`.
    struct TagsArgs {
        #[flatten] location: LocationArgs,
        #[flatten] format: FormatArgs,
        _verbose: bool = flags::verbose(),
        last: Option<String> = flags::text("TAG", "Start after this tag"),
        exclude_digest_tags: bool = flags::switch("Leave out tags such as sha256-…"),
        filter: Option<String> = flags::text("GLOB", "Only tags that match"),
        sort: Option<String> = flags::one_of(
            flags::text("ORDER", "Sort by name or by version [default: the registry's order]"),
            "order",
            &["name", "version"],
        ),
        digests: bool = flags::switch("Show the digest of each tag too"),
        words: Vec<String> = flags::positional("<name>", "Repository"),
    }
}

/// Creates the command.
pub(crate) fn command() -> Command {
    args::command("tags", "List the tags of a repository", "Examples:\n  oras repo tags localhost:5000/hello")
        .visible_alias("show-tags")
        .args(TagsArgs::flags(""))
}

/// Runs the command.
pub(crate) async fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let args = TagsArgs::read(matches, "");
    USAGE.check(&args.words, 1, true, "the target repository to list tags from")?;
    let target = ArtifactLocation::new(&args.location, "", &args.words[0])?;
    let format = Format::read(&args.format, format::TEXT).await?;
    let store = target.source().await?;
    // The tags in a layout may be full references. If the argument names a repository, only its tags are listed,
    // without its name.
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
        log::warning(&text, &[]);
        Some(digest)
    } else {
        None
    };
    let filter = Glob::new(args.filter.as_deref().unwrap_or("*"))
        .map_err(|error| Failure::new(format!("invalid glob: {error}")))?
        .compile_matcher();
    // Without these flags the command prints each tag as soon as it receives it.
    let is_collected = args.sort.is_some() || args.digests;
    let mut listed = report::Tags::default();
    // Registries may have thousands of tags, so the pages are streamed.
    let mut tags = store.tags_after(args.last.as_deref());
    while let Some(tag) = tags.try_next().await.map_err(|error| target.failure(&error))? {
        let Some(short) = tag.strip_prefix(&prefix) else { continue };
        if (args.exclude_digest_tags && is_digest_tag(short)) || !filter.is_match(short) {
            continue;
        }
        if let Some(digest) = &digest
            // The tag of the argument already names the digest, so it needs no request.
            && tag != target.reference
            && store.resolve(&tag).await.map_err(|error| target.failure(&error))?.digest != *digest
        {
            continue;
        }
        match &format {
            Format::Text if !is_collected => print::line(short)?,
            _ => listed.tags.push(short.to_owned()),
        }
    }
    match args.sort.as_deref() {
        Some("name") => listed.tags.sort(),
        Some(_) => listed.tags.sort_by(|a, b| version_order::compare(a, b)),
        None => {}
    }
    if args.digests {
        let digests =
            digests(&*store, &prefix, &listed.tags).await.map_err(|error| target.failure(&error))?;
        listed.digests = Some(digests);
    }
    if is_collected && format.is_for_people() {
        let digest = |tag: &String| listed.digests.as_ref().and_then(|digests| digests.get(tag));
        for tag in &listed.tags {
            match digest(tag) {
                Some(digest) => print::line(format!("{tag} {digest}"))?,
                None => print::line(tag)?,
            }
        }
    }
    format.report(&listed).await
}

/// Resolves the digest of each tag.
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
        // The order does not matter: the map sorts the tags.
        .buffer_unordered(CONCURRENCY)
        .try_collect()
        .await
}
