//! `oras inspect`.

use std::fmt::Write as _;

use clap::{ArgMatches, Command};
use oras::report::Inspect;
use oras::{InspectOptions, Inspection};

use crate::args::{self, FormatArgs, LocationArgs, Usage, flags, values};
use crate::artifact_location::ArtifactLocation;
use crate::columns::{self, Fit, Table};
use crate::failure::Failure;
use crate::format::{self, Format};
use crate::humanize;
use crate::print;

const USAGE: Usage = Usage { path: "oras inspect", tail: "[flags] <name>{:<tag>|@<digest>}" };

flags::flags! {
    /// The arguments of `oras inspect`.
    struct InspectArgs {
        #[flatten] location: LocationArgs,
        #[flatten] format: FormatArgs,
        platform: Option<String> = flags::platform(),
        raw: bool = flags::switch("Print the bytes of the manifest unchanged").help_heading("Output"),
        max_manifests: Option<i64> =
            flags::number("Read at most N manifests below an index, to add up sizes [default: 32]"),
        _distribution_spec: Option<String> = flags::distribution_spec(),
        words: Vec<String> = flags::positional("<name>{:<tag>|@<digest>}", "Artifact"),
    }
}

/// Creates the command.
pub(crate) fn command() -> Command {
    args::command(
        "inspect",
        "Show what an artifact is: files, platforms, sizes, referrers",
        concat!(
            "Examples:\n",
            "  oras inspect localhost:5000/hello:v1\n",
            "  oras inspect --oci-layout hello.tar:v1\n",
            "  oras inspect --platform linux/arm64 localhost:5000/hello:v1\n",
            "  oras inspect --format json localhost:5000/hello:v1\n",
            "  oras inspect --raw localhost:5000/hello:v1 | sha256sum"
        ),
    )
    .args(InspectArgs::flags(""))
}

/// Runs the command.
pub(crate) async fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let args = InspectArgs::read(matches, "");
    USAGE.check(&args.words, 1, true, "the artifact to inspect")?;
    flags::exclusive!("", args.raw, args.format.format)?;
    flags::exclusive!("", args.raw, args.format.jq)?;
    let format = Format::read(&args.format, format::TEXT).await?;
    let target = ArtifactLocation::new(&args.location, "", &args.words[0])?;
    let defaults = InspectOptions::default();
    let options = InspectOptions::default()
        .platform(values::platform(args.platform.as_ref())?)
        .manifest_only(args.raw)
        .max_manifests(values::count(args.max_manifests, defaults.max_manifests))
        .max_manifest_size(Some(target.max_manifest_size()));
    let source = target.source().await?;
    let reference = target.require_reference(&USAGE, true)?;
    let found = target.explain(oras::inspect(source, reference, &options).await)?;
    if args.raw {
        return print::text(found.manifest.bytes());
    }
    let report = Inspect::new(&target.path, &found);
    if format.is_for_people() {
        return print::text(page(&target.raw, &found, &report, columns::terminal_width()).as_bytes());
    }
    format.report(&report).await
}

/// Describes the artifact for people. With a `width`, the lines fit it.
fn page(name: &str, found: &Inspection, report: &Inspect, width: Option<usize>) -> String {
    let header = |label, value: &str| columns::header(label, value, width);
    let mut text = header("Name", name);
    text += &header("Digest", &found.root.digest.to_string());
    text += &header("Kind", &found.class.to_string());
    let own_type = report.root.descriptor.artifact_type.as_ref();
    text += &header("Type", own_type.unwrap_or(&found.root.media_type).as_str());
    if let Some(created) = &found.created {
        text += &header("Created", created);
    }
    // The platforms of an index are in its table.
    if !report.platforms.is_empty() && found.manifests.is_empty() {
        text += &header("Runs on", &report.platforms.join(", "));
    }
    text += &header("Size", &sizes(found));
    if let Some(subject) = found.manifest.subject() {
        text += &header("Subject", &subject.digest.to_string());
    }
    if !report.annotations().is_empty() {
        text.push_str("\nAnnotations\n");
        for (key, value) in report.annotations() {
            text += &columns::line(&format!("  {key}: {value}"), width);
        }
    }
    text += &files(found, width);
    text += &manifests(found, width);
    text += &referrers(found, width);
    for note in notes(found) {
        let _ = write!(text, "\n{}", columns::line(&format!("Note: {note}"), None));
    }
    text
}

/// Returns the total size, and the unique size if blobs are shared.
fn sizes(found: &Inspection) -> String {
    let total = humanize::binary(found.total_size);
    let at_least = if found.unread_manifests > 0 { "at least " } else { "" };
    match found.total_size == found.unique_size {
        true => format!("{at_least}{total}"),
        false => format!("{at_least}{total}, {} without duplicates", humanize::binary(found.unique_size)),
    }
}

fn files(found: &Inspection, width: Option<usize>) -> String {
    let layers = found.manifest.layers();
    if layers.is_empty() {
        return String::new();
    }
    let mut table = Table::new([
        ("SIZE", Fit::Keep),
        ("TYPE", Fit::Tail),
        ("NAME", Fit::Name),
        ("DIGEST", Fit::SpareDigest),
    ]);
    for layer in layers {
        let (size, name) = (humanize::binary(layer.size), layer.title().unwrap_or("-"));
        table.row([&size, layer.media_type.as_str(), name, &layer.digest.to_string()]);
    }
    let has_names = layers.iter().any(|layer| layer.title().is_some());
    format!("\n{} ({})\n{}", if has_names { "Files" } else { "Layers" }, layers.len(), table.draw(width))
}

fn manifests(found: &Inspection, width: Option<usize>) -> String {
    if found.manifests.is_empty() {
        return String::new();
    }
    let mut table = Table::new([
        ("PLATFORM", Fit::Keep),
        ("KIND", Fit::Name),
        ("SIZE", Fit::Keep),
        ("DIGEST", Fit::Digest),
    ]);
    for entry in &found.manifests {
        let known = entry.descriptor.platform.as_ref().filter(|platform| platform.os != "unknown");
        let platform = known.map_or_else(|| "-".to_owned(), ToString::to_string);
        let size = entry.total_size.map_or_else(|| "-".to_owned(), humanize::binary);
        table.row([&platform, &entry.class.to_string(), &size, &entry.descriptor.digest.to_string()]);
    }
    format!("\nManifests ({})\n{}", found.manifests.len(), table.draw(width))
}

fn referrers(found: &Inspection, width: Option<usize>) -> String {
    if found.referrers.is_empty() {
        return String::new();
    }
    let mut table = Table::new([("KIND", Fit::Name), ("TYPE", Fit::Tail), ("DIGEST", Fit::Digest)]);
    for referrer in &found.referrers {
        let artifact_type = referrer.descriptor.artifact_type.as_ref().map_or("-", |text| text.as_str());
        let shown = if referrer.tag.is_some() { "found by its tag" } else { artifact_type };
        table.row([&referrer.class.to_string(), shown, &referrer.descriptor.digest.to_string()]);
    }
    format!("\nReferrers ({})\n{}", found.referrers.len(), table.draw(width))
}

/// Returns what the user should know about the result.
fn notes(found: &Inspection) -> Vec<String> {
    let mut notes = found.notes.clone();
    // Each note is about one manifest that is missing. The limit is the reason for all others.
    if found.unread_manifests > found.notes.len() {
        notes.push(format!(
            "{} manifests were not read, so sizes are incomplete; --max-manifests raises the limit",
            found.unread_manifests
        ));
    }
    notes
}
