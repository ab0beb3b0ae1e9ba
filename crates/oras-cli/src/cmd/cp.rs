//! `oras cp`.

use clap::{ArgMatches, Command};
use oras::spec::Platform;
use oras::spec::platform::PlatformError;
use oras::store::{Error, Side};
use oras::{CopyOptions, PlatformsError, UnresolvedSource, join, report};

use super::listener;
use crate::args;
use crate::args::flags::{self, Matches};
use crate::error::Failure;
use crate::format::{self, Format};
use crate::output::Printer;
use crate::status::COPY;
use crate::target::{Target, Usage, check_tags, split_tags};

const USAGE: Usage =
    Usage { path: "oras cp", tail: "[flags] <from>{:<tag>|@<digest>} <to>[:<tag>[,<tag>][...]]" };

/// The command with its flags.
pub(crate) fn command() -> Command {
    args::command(
        "cp",
        "Copy an artifact between registries and OCI layouts",
        concat!(
            "Examples:\n",
            "  oras cp localhost:5000/hello:v1 localhost:6000/hello:v1,latest\n",
            "  oras cp -r localhost:5000/hello:v1 --to-oci-layout ./layout:v1\n",
            "  oras cp --from-oci-layout ./layout:v1 localhost:5000/hello:v1"
        ),
    )
    .visible_alias("copy")
    .args(flags::common())
    .args(flags::remote("from-"))
    .args(flags::layout("from-"))
    .args(flags::remote("to-"))
    .args(flags::layout("to-"))
    .args(flags::format_too())
    .args([
        flags::no_tty(),
        flags::progress(),
        flags::verbose(),
        flags::distribution_spec("from-"),
        flags::distribution_spec("to-"),
        flags::list("resolve", "HOST:PORT:ADDRESS[:PORT]", "Like --from-resolve and --to-resolve"),
        flags::switch("recursive", "Copy the referrers too").short('r'),
        flags::switch("force", "Look below manifests that the destination has"),
        flags::dry_run(),
        flags::platform().action(clap::ArgAction::Append),
        flags::concurrency(),
        flags::positional("<from>{:<tag>|@<digest>} <to>[:<tag>[,<tag>][...]]", "Source and destination"),
    ])
}

/// Runs it.
pub(crate) async fn run(matches: &ArgMatches, printer: &Printer) -> Result<(), Failure> {
    let words = matches.words();
    USAGE.check(&words, 2, true, "the source and destination for copying")?;
    let (raw, extra_tags) = split_tags(&words[1])?;
    let format = Format::read(matches, format::TEXT, *printer)?;
    let dry_run = matches.on("dry-run");
    let platforms = platforms(matches)?;
    let from = Target::new(matches, "from-", &words[0], printer)?;
    let to = Target::new(matches, "to-", raw, printer)?;
    check_tags(&extra_tags)?;
    let source = from.source().await?;
    let reference = from.require_reference(&USAGE, true)?;
    let mut destination = to.store().await?;
    if dry_run {
        destination = oras::dry_run(destination);
    }
    let first = Some(to.reference.clone()).filter(|tag| !tag.is_empty());
    let options = CopyOptions {
        recursive: matches.on("recursive"),
        platforms,
        tags: first.into_iter().chain(extra_tags.clone()).collect(),
        concurrency: matches.count("concurrency", 0),
        force: matches.on("force"),
        max_manifest_size: Some(from.max_manifest_size()),
    };
    let listener = listener(COPY.between(&from, &to).dry(dry_run), matches, &format, *printer);
    let root = oras::copy(source, reference, destination, options, listener)
        .await
        .map_err(|error| failure(&from, &to, &error))?;

    let digest = root.digest.to_string();
    let selected = reference.contains(':') && reference != digest && !reference.is_empty();
    let source = if selected && reference.parse::<oras::spec::Digest>().is_ok() {
        from.display_as(&format!("{}@{digest}", from.path))
    } else {
        from.display()
    };
    if !format.is_for_people() {
        let tags: Vec<_> =
            Some(to.reference.clone()).into_iter().chain(extra_tags).filter(|tag| !is_digest(tag)).collect();
        let report = report::Copy {
            source: from.raw.clone(),
            dry_run,
            copied: report::Push::new(&to.path, &root, &tags),
        };
        return printer.report(&format, &report);
    }
    let done = if dry_run { "Dry run: would copy" } else { "Copied" };
    printer.line(format!("{done} {source} => {}", to.display()))?;
    for tag in extra_tags.into_iter().filter(|_| !dry_run) {
        printer.line(format!("Tagged {tag}"))?;
    }
    printer.line(format!("Digest: {digest}"))
}

/// Whether the text is none of a tag: a digest, or nothing.
fn is_digest(text: &str) -> bool {
    text.is_empty() || text.parse::<oras::spec::Digest>().is_ok()
}

/// Reads `--platform`, given several times or as a list.
fn platforms(matches: &ArgMatches) -> Result<Vec<Platform>, Failure> {
    let mut platforms: Vec<Platform> = Vec::new();
    for text in
        matches.list("platform").iter().flat_map(|list| list.split(',')).filter(|text| !text.is_empty())
    {
        let platform = text.parse().map_err(|error: PlatformError| Failure::new(error.to_string()))?;
        if !platforms.contains(&platform) {
            platforms.push(platform);
        }
    }
    Ok(platforms)
}

/// Says which side failed.
fn failure(from: &Target, to: &Target, error: &Error) -> Failure {
    // The Go tool resolves the source before it copies to a destination without a tag, and names no side then.
    if from.registry().is_some() && error.find::<UnresolvedSource>().is_some() {
        return from.failure(error);
    }
    match error.find::<PlatformsError>() {
        Some(PlatformsError::NotAnIndex) => {
            let message = format!("{:?} is not an image index or a manifest list", from.raw);
            return Failure::new(message).of_kind(error.kind()).advise(
                "selecting multiple platforms requires a multi-platform source; use a single --platform value to \
                 copy a specific platform of an image",
            );
        }
        Some(unmatched @ PlatformsError::Unmatched { offered, .. }) => {
            let advice = format!("available platforms in index: [{}]", join(offered));
            return Failure::new(unmatched.to_string()).of_kind(error.kind()).advise(advice);
        }
        _ => {}
    }
    let (side, target) = match error.side() {
        Some(Side::Destination) => ("destination", to),
        _ => ("source", from),
    };
    target.failure(error).prefixed(format!("Error from {side} {} for {:?}:", target.kind(), target.raw))
}
