//! `oras layout ls`.

use clap::{ArgMatches, Command};
use oras::{ArtifactClass, LayoutListing, ListedEntry, ListedNode};

use super::check::failure;
use crate::args::{self, FormatArgs, Usage, flags};
use crate::columns::{self, Fit, Table};
use crate::failure::Failure;
use crate::format::{self, Format};
use crate::humanize;
use crate::print;
use crate::terminal_text;

const USAGE: Usage = Usage { path: "oras layout ls", tail: "[flags] <path>" };

flags::flags! {
    /// The arguments of `oras layout ls`.
    struct ListArgs {
        #[flatten] format: FormatArgs,
        tree: bool = flags::switch("Show the manifests of indexes and the referrers below each tag"),
        words: Vec<String> = flags::positional("<path>", "OCI layout"),
    }
}

/// Creates the command.
pub(super) fn command() -> Command {
    args::command(
        "ls",
        "List the tags of an OCI layout with kinds, sizes and referrers",
        concat!(
            "SIZE is that of everything below the tag, each blob once. Manifests without a tag come last, unless\n",
            "they refer to content of the layout.\n\n",
            "Examples:\n",
            "  oras layout ls ./layout\n",
            "  oras layout ls --tree backup.tar\n",
            "  oras layout ls --format json ./layout"
        ),
    )
    .visible_alias("list")
    .args(ListArgs::flags(""))
}

/// Runs the command.
pub(super) async fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let args = ListArgs::read(matches, "");
    USAGE.check(&args.words, 1, true, "the layout to list")?;
    let format = Format::read(&args.format, format::TEXT).await?;
    let path = &args.words[0];
    let listing = oras::list_layout(path).await.map_err(|error| failure(&error, path))?;
    if !format.is_for_people() {
        return format.report(&listing).await;
    }
    let text = if args.tree { tree(&listing) } else { table(&listing, columns::terminal_width()) };
    print::text(text.as_bytes())
}

/// Returns the name of an entry: its tag, or `-`.
fn name(entry: &ListedEntry) -> &str {
    entry.tag.as_deref().unwrap_or("-")
}

/// Returns what a manifest is, and whether it is missing.
fn kind(node: &ListedNode) -> String {
    let class = ArtifactClass::from(node.class.clone());
    if node.present { class.to_string() } else { format!("{class}, missing or damaged") }
}

fn table(listing: &LayoutListing, width: Option<usize>) -> String {
    if listing.entries.is_empty() {
        return String::new();
    }
    let mut table = Table::new([
        ("TAG", Fit::Name),
        ("KIND", Fit::Keep),
        ("SIZE", Fit::Keep),
        ("PLATFORMS", Fit::Name),
        ("REFERRERS", Fit::Name),
        ("DIGEST", Fit::SpareDigest),
    ]);
    for entry in &listing.entries {
        let platforms = if entry.platforms.is_empty() { "-".to_owned() } else { entry.platforms.join(", ") };
        let size = humanize::binary(entry.total_size);
        let digest = entry.node.descriptor.digest.to_string();
        table.row([name(entry), &kind(&entry.node), &size, &platforms, &referrers(entry), &digest]);
    }
    table.draw(width)
}

/// Returns the number of referrers of each kind.
fn referrers(entry: &ListedEntry) -> String {
    let kinds: Vec<_> = entry.referrer_kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    if kinds.is_empty() { "-".to_owned() } else { kinds.join(", ") }
}

fn tree(listing: &LayoutListing) -> String {
    let mut text = String::new();
    for entry in &listing.entries {
        let size = humanize::binary(entry.total_size);
        let digest = &entry.node.descriptor.digest;
        text += &terminal_text::name(&format!("{}  {}  {size}  {digest}", name(entry), kind(&entry.node)));
        text.push('\n');
        branches(&entry.node, "", &mut text);
    }
    text
}

/// Draws what is below a node. The library bounds the depth of a listing.
fn branches(node: &ListedNode, indent: &str, text: &mut String) {
    let children = node.children.iter().map(|child| (child, ""));
    let below: Vec<_> =
        children.chain(node.referrers.iter().map(|referrer| (referrer, "refers: "))).collect();
    for (place, (child, relation)) in below.iter().enumerate() {
        let is_last = place + 1 == below.len();
        let (branch, further) = if is_last { ("└── ", "    ") } else { ("├── ", "│   ") };
        let platform = child.descriptor.platform.as_ref().filter(|platform| platform.os != "unknown");
        let platform = platform.map_or_else(String::new, |platform| format!("  {platform}"));
        let label = format!("{relation}{}{platform}  {}", kind(child), child.descriptor.digest);
        text.push_str(&format!("{indent}{branch}{}\n", terminal_text::name(&label)));
        branches(child, &format!("{indent}{further}"), text);
    }
}
