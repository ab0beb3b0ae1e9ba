//! `oras cp`.

use clap::{ArgMatches, Command};
use oras::spec::platform::PlatformError;
use oras::spec::{MediaType, Platform};
use oras::store::{Error, Side};
use oras::{CopyOptions, PlatformsError, UnresolvedSource, join_platforms, report};

use crate::args::{
    self, FormatArgs, LocationArgs, ProgressArgs, TransferArgs, Usage, check_tags, flags, split_tags, values,
};
use crate::artifact_location::ArtifactLocation;
use crate::failure::Failure;
use crate::format::{self, Format};
use crate::print;
use crate::progress::{Progress, words::COPY};

const USAGE: Usage =
    Usage { path: "oras cp", tail: "[flags] <from>{:<tag>|@<digest>} <to>[:<tag>[,<tag>][...]]" };

flags::flags! {
    /// The arguments of `oras cp`.
    struct CopyArgs {
        #[flatten("from-")] _from_transfer: TransferArgs,
        #[flatten("to-")] _to_transfer: TransferArgs,
        #[flatten("from-")] from: LocationArgs,
        #[flatten("to-")] to: LocationArgs,
        #[flatten] format: FormatArgs,
        #[flatten] progress: ProgressArgs,
        _verbose: bool = flags::verbose(),
        _from_distribution_spec: Option<String> = flags::distribution_spec(),
        _to_distribution_spec: Option<String> = flags::distribution_spec(),
        resolve: Vec<String> =
            flags::list("HOST:PORT:ADDRESS[:PORT]", "Like --from-resolve and --to-resolve"),
        recursive: bool = flags::switch("Copy the referrers too").short('r'),
        require_referrer: Vec<String> = flags::require_referrer(),
        force: bool = flags::switch("Look below manifests that the destination has"),
        dry_run: bool = flags::dry_run(),
        platform: Vec<String> = flags::platform().action(clap::ArgAction::Append),
        concurrency: Option<i64> = flags::concurrency(),
        words: Vec<String> =
            flags::positional("<from>{:<tag>|@<digest>} <to>[:<tag>[,<tag>][...]]", "Source and destination"),
    }
}

/// Creates the command.
pub(crate) fn command() -> Command {
    args::command(
        "cp",
        "Copy an artifact between registries and OCI layouts",
        concat!(
            "Examples:\n",
            "  oras cp localhost:5000/hello:v1 localhost:6000/hello:v1,latest\n",
            "  oras cp -r localhost:5000/hello:v1 --to-oci-layout ./layout:v1\n",
            "  oras cp --require-referrer test/sbom localhost:5000/a:v1 localhost:6000/a:v1\n",
            "  oras cp --from-oci-layout ./layout:v1 localhost:5000/hello:v1\n",
            "  oras cp --platform linux/arm64 localhost:5000/image:v1 localhost:6000/image:v1"
        ),
    )
    .visible_alias("copy")
    .args(CopyArgs::flags(""))
}

/// Runs the command.
pub(crate) async fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let mut args = CopyArgs::read(matches, "");
    // `--resolve` applies to both sides, before the entries of `--from-resolve` and `--to-resolve`.
    for side in [&mut args.from, &mut args.to] {
        side.registry.connection.resolve.splice(0..0, args.resolve.iter().cloned());
    }
    USAGE.check(&args.words, 2, true, "the source and destination for copying")?;
    let (raw, extra_tags) = split_tags(&args.words[1]);
    let format = Format::read(&args.format, format::TEXT).await?;
    let dry_run = args.dry_run;
    let platforms = platforms(&args.platform)?;
    let from = ArtifactLocation::new(&args.from, "from-", &args.words[0])?;
    let to = ArtifactLocation::new(&args.to, "to-", raw)?;
    check_tags(&extra_tags)?;
    let source = from.source().await?;
    let reference = from.require_reference(&USAGE, true)?;
    let mut destination = to.store().await?;
    if dry_run {
        destination = oras::dry_run(destination);
    }
    let first = Some(to.reference.clone()).filter(|tag| !tag.is_empty());
    let options = CopyOptions::default()
        .recursive(args.recursive)
        .require_referrers(args.require_referrer.iter().map(|kind| MediaType::new(kind.clone())).collect())
        .platforms(platforms)
        .tags(first.into_iter().chain(extra_tags.clone()))
        .concurrency(values::count(args.concurrency, 0))
        .force(args.force)
        .max_manifest_size(Some(from.max_manifest_size()));
    let progress = Progress::start(COPY.between(&from, &to).dry(dry_run), &args.progress, &format);
    let copied = oras::copy(source, reference, destination, options, progress.listener()).await;
    let root = progress.finish(copied).map_err(|error| failure(&from, &to, &error))?;

    let digest = root.digest.to_string();
    // A platform was selected if the copied root is not the manifest that the reference names.
    let selected = reference.contains(':') && reference != digest && !reference.is_empty();
    let source = if selected && reference.parse::<oras::spec::Digest>().is_ok() {
        from.display_as(&format!("{}@{digest}", from.path))
    } else {
        from.display()
    };
    if !format.is_for_people() {
        let tags: Vec<_> =
            Some(to.reference.clone()).into_iter().chain(extra_tags).filter(|tag| !is_not_tag(tag)).collect();
        let report = report::Copy {
            source: from.raw.clone(),
            dry_run,
            copied: report::Push::new(&to.path, &root, &tags),
        };
        return format.report(&report).await;
    }
    let done = if dry_run { "Dry run: would copy" } else { "Copied" };
    print::status(format!("{done} {source} => {}", to.display()))?;
    for tag in extra_tags.into_iter().filter(|_| !dry_run) {
        print::status(format!("Tagged {tag}"))?;
    }
    print::status(format!("Digest: {digest}"))
}

/// Returns true if the text is not a tag: a digest, or empty.
fn is_not_tag(text: &str) -> bool {
    text.is_empty() || text.parse::<oras::spec::Digest>().is_ok()
}

/// Parses `--platform`, which may be repeated and may be a list.
fn platforms(lists: &[String]) -> Result<Vec<Platform>, Failure> {
    let mut platforms: Vec<Platform> = Vec::new();
    for text in lists.iter().flat_map(|list| list.split(',')).filter(|text| !text.is_empty()) {
        let platform = text.parse().map_err(|error: PlatformError| Failure::new(error.to_string()))?;
        // A repeated platform selects the same manifest, so it is kept only once.
        if !platforms.contains(&platform) {
            platforms.push(platform);
        }
    }
    Ok(platforms)
}

/// Converts an error into a failure that names the side.
fn failure(from: &ArtifactLocation, to: &ArtifactLocation, error: &Error) -> Failure {
    // The Go tool resolves the source first, and its error then names no side.
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
            let advice = format!("available platforms in index: [{}]", join_platforms(offered));
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
