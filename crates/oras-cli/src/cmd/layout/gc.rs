//! `oras layout gc`.

use std::time::Duration;

use clap::{ArgMatches, Command};
use oras::{BlobCount, KeepRules, LayoutGarbage, LayoutGarbageOptions};

use super::check::failure;
use crate::args::{self, FormatArgs, Usage, flags, values};
use crate::failure::Failure;
use crate::format::{self, Format};
use crate::humanize;
use crate::print;

const USAGE: Usage = Usage { path: "oras layout gc", tail: "[flags] <path>" };

flags::flags! {
    /// The arguments of `oras layout gc`.
    struct GcArgs {
        #[flatten] format: FormatArgs,
        keep: Vec<String> = flags::list("GLOB", "Keep tags that match, such as release-*; may be repeated"),
        keep_regex: Vec<String> =
            flags::list("REGEX", "Keep tags that match a regular expression; may be repeated"),
        keep_versions: Vec<String> =
            flags::list("RANGE", "Keep tags that are versions in a range, such as \">=1.2, <3\"; may be repeated"),
        keep_newest: Option<i64> = flags::number("Keep the N newest tags by creation time, else by version"),
        keep_younger: Option<Duration> =
            flags::text("DURATION", "Keep tags created within this time, such as 30d, or at an unknown time")
                .value_parser(values::period),
        untagged: bool = flags::switch("Also delete manifests without a tag, unless they refer to what stays"),
        grace: Option<Duration> = flags::text(
            "DURATION",
            "Keep content used within this time, and garbage in quarantine for this time [default: 24h]",
        )
        .value_parser(values::period),
        dry_run: bool = flags::dry_run(),
        words: Vec<String> = flags::positional("<path>", "OCI layout"),
    }
}

/// Creates the command.
pub(super) fn command() -> Command {
    args::command(
        "gc",
        "Delete content of an OCI layout that no tag needs",
        concat!(
            "Without rules, all tags and all manifests in index.json stay, and only content that they do not\n",
            "reach is deleted. With rules (--keep and others), a tag stays if one of them matches it; all other\n",
            "tags and manifests are removed. Referrers stay with their subject, as do the tags of cosign.\n\n",
            "Garbage is first moved to a quarantine in the layout. A later gc deletes it when the grace period is\n",
            "over, or moves it back if another program has listed it since. --grace 0 deletes at once, which is\n",
            "safe only while no other program writes.\n\n",
            "Examples:\n",
            "  oras layout gc --dry-run ./layout\n",
            "  oras layout gc --keep 'release-*' --keep-newest 10 ./layout\n",
            "  oras layout gc --keep-versions '>=1.2, <3' --keep-younger 30d ./layout\n",
            "  oras layout gc --grace 0 --format json ./layout"
        ),
    )
    .args(GcArgs::flags(""))
}

/// Runs the command.
pub(super) async fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let args = GcArgs::read(matches, "");
    USAGE.check(&args.words, 1, true, "the layout to clean up")?;
    let format = Format::read(&args.format, format::TEXT).await?;
    let path = &args.words[0];
    let mut options =
        LayoutGarbageOptions::default().keep(rules(&args)?).untagged(args.untagged).dry_run(args.dry_run);
    if let Some(grace) = args.grace {
        options = options.grace(grace);
    }
    let grace = options.grace;
    let garbage = oras::collect_layout_garbage(path, options).await.map_err(|error| failure(&error, path))?;
    if format.is_for_people() {
        return print_garbage(&garbage, grace);
    }
    format.report(&garbage).await
}

fn rules(args: &GcArgs) -> Result<KeepRules, Failure> {
    let mut rules = KeepRules::default();
    for glob in &args.keep {
        rules = rules.glob(glob)?;
    }
    for pattern in &args.keep_regex {
        rules = rules.regex(pattern)?;
    }
    for range in &args.keep_versions {
        rules = rules.versions(range)?;
    }
    if let Some(count) = args.keep_newest {
        let invalid = |_| Failure::new(format!("invalid number of tags to keep: {count}"));
        rules = rules.newest(usize::try_from(count).map_err(invalid)?);
    }
    Ok(match args.keep_younger {
        Some(age) => rules.younger_than(age),
        None => rules,
    })
}

fn print_garbage(garbage: &LayoutGarbage, grace: Duration) -> Result<(), Failure> {
    let done = |past: &str, present: &str| match garbage.dry_run {
        true => format!("Would {present}"),
        false => past.to_owned(),
    };
    for removed in &garbage.removed_tags {
        print::status(format!("{} {}  {}", done("Removed tag", "remove tag"), removed.tag, removed.digest))?;
    }
    let collected = &garbage.collected;
    let deleted = BlobCount { blobs: collected.blobs, bytes: collected.bytes };
    if collected.restored.blobs > 0 {
        print::line(format!(
            "{} {} from quarantine",
            done("Restored", "restore"),
            shown(collected.restored)
        ))?;
    }
    if collected.quarantined.blobs > 0 {
        print::line(format!(
            "{} {} to quarantine; a gc after {} deletes them",
            done("Moved", "move"),
            shown(collected.quarantined),
            humanize::duration(grace),
        ))?;
    }
    print::line(format!("{} {}", done("Deleted", "delete"), shown(deleted)))
}

fn shown(count: BlobCount) -> String {
    format!("{} ({})", humanize::count(count.blobs, "blob"), humanize::binary(count.bytes))
}
