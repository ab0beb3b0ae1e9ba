//! `oras bundle ls`.

use clap::{ArgMatches, Command};
use oras::bundle::{Bundle, MissingContent};

use super::create::summary;
use crate::args::{self, FormatArgs, Usage, flags};
use crate::failure::Failure;
use crate::format::{self, Format};
use crate::print;

const USAGE: Usage = Usage { path: "oras bundle ls", tail: "[flags] <file>" };

flags::flags! {
    /// The arguments of `oras bundle ls`.
    struct ListArgs {
        #[flatten] format: FormatArgs,
        words: Vec<String> = flags::positional("<file>", "Bundle"),
    }
}

/// Creates the command.
pub(crate) fn command() -> Command {
    args::command(
        "ls",
        "List the repositories, tags and referrers of a bundle",
        "Reads only the inventory of the bundle.\n\nExamples:\n  oras bundle ls site.tar\n  oras bundle ls site.tar --format json --jq '.repositories[].name'",
    )
    .visible_alias("list")
    .args(ListArgs::flags(""))
}

/// Runs the command.
pub(crate) async fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let args = ListArgs::read(matches, "");
    USAGE.check(&args.words, 1, true, "the bundle to list")?;
    let format = Format::read(&args.format, format::TEXT).await?;
    let bundle = Bundle::open(&args.words[0]).await?;
    let inventory = bundle.inventory();
    if format.is_for_people() {
        for repository in &inventory.repositories {
            print::line(summary(repository))?;
            for (tag, node) in &repository.tags {
                print::line(format!("  {tag} {}", node.digest))?;
            }
            for node in &repository.untagged {
                print::line(format!("  {}", node.digest))?;
            }
            for referrer in &repository.referrers {
                let kind = referrer.descriptor.artifact_type.as_ref().map_or("", |kind| kind.as_str());
                print::line(format!(
                    "  {} refers to {} {kind}",
                    referrer.descriptor.digest, referrer.subject
                ))?;
            }
            for missing in &repository.missing {
                print::line(format!("  {}", missing_line(&repository.name, missing)))?;
            }
        }
    }
    format.report(inventory).await
}

/// Returns the line about content that the source listed and did not have.
pub(super) fn missing_line(repository: &str, missing: &MissingContent) -> String {
    let of = missing.parent.as_ref().map(|parent| format!(" of {parent}")).unwrap_or_default();
    format!("missing in {repository}: {} {}{of}: {}", missing.kind.as_str(), missing.name, missing.reason)
}
