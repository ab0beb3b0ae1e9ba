//! `oras layout du`.

use clap::{ArgMatches, Command};
use oras::LayoutUsage;

use super::check::failure;
use crate::args::{self, FormatArgs, Usage, flags};
use crate::columns::{self, Fit, Table};
use crate::failure::Failure;
use crate::format::{self, Format};
use crate::humanize;
use crate::print;

const USAGE: Usage = Usage { path: "oras layout du", tail: "[flags] <path>" };

flags::flags! {
    /// The arguments of `oras layout du`.
    struct UsageArgs {
        #[flatten] format: FormatArgs,
        sort: Option<String> = flags::one_of(
            flags::text("ORDER", "Sort by name or by unique size [default: the order of the index]"),
            "order",
            &["name", "size"],
        ),
        words: Vec<String> = flags::positional("<path>", "OCI layout"),
    }
}

/// Creates the command.
pub(super) fn command() -> Command {
    args::command(
        "du",
        "Show how much of an OCI layout each tag needs",
        concat!(
            "A tag needs its manifest, what the manifest lists, and its referrers. UNIQUE is the size of what only\n",
            "this tag needs, and SHARED of what other tags need, too.\n\n",
            "Examples:\n",
            "  oras layout du ./layout\n",
            "  oras layout du --sort size ./layout\n",
            "  oras layout du --format json backup.tar"
        ),
    )
    .args(UsageArgs::flags(""))
}

/// Runs the command.
pub(super) async fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let args = UsageArgs::read(matches, "");
    USAGE.check(&args.words, 1, true, "the layout to measure")?;
    let format = Format::read(&args.format, format::TEXT).await?;
    let path = &args.words[0];
    let mut usage = LayoutUsage::measure(path).await.map_err(|error| failure(&error, path))?;
    match args.sort.as_deref() {
        Some("name") => usage.tags.sort_by(|a, b| a.tag.cmp(&b.tag)),
        Some(_) => usage.tags.sort_by_key(|tag| std::cmp::Reverse(tag.unique_bytes)),
        None => {}
    }
    if format.is_for_people() {
        return print::text(page(&usage, columns::terminal_width()).as_bytes());
    }
    format.report(&usage).await
}

fn page(usage: &LayoutUsage, width: Option<usize>) -> String {
    let mut table = Table::new([
        ("UNIQUE", Fit::Keep),
        ("SHARED", Fit::Keep),
        ("BLOBS", Fit::Keep),
        ("TAG", Fit::Name),
        ("DIGEST", Fit::SpareDigest),
    ]);
    for tag in &usage.tags {
        let (unique, shared) = (humanize::binary(tag.unique_bytes), humanize::binary(tag.shared_bytes));
        table.row([&unique, &shared, &tag.blobs.to_string(), &tag.tag, &tag.digest.to_string()]);
    }
    let mut text = if usage.tags.is_empty() { String::new() } else { table.draw(width) + "\n" };
    for (label, count) in
        [("Untagged", usage.untagged), ("Unreachable", usage.unreachable), ("Total", usage.total)]
    {
        let size = humanize::binary(count.bytes);
        text += &format!("{label:<12}{size} in {}\n", humanize::count(count.blobs, "blob"));
    }
    text
}
