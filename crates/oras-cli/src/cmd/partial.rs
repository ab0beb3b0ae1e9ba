//! `oras partial`: what transfers that were not finished have left.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::{ArgMatches, Command};
use oras::{PartialDownload, PartialOptions, PartialUpload, Partials};

use crate::args::flags::{self, Matches};
use crate::args::{self, network};
use crate::env;
use crate::error::Failure;
use crate::format::{self, Format};
use crate::human;
use crate::output::Printer;
use crate::remote::Remote;

const PLACES: &str = "Directories or OCI layouts to look in, and below [default: .]";

/// The group with its commands.
pub(crate) fn command() -> Command {
    let places = || flags::positional("[path...]", PLACES);
    let age = |help| flags::text("older-than", "DURATION", help).value_parser(network::period);
    let ls = args::command(
        "ls",
        "List what unfinished transfers have left, but what a process is at",
        "Examples:\n  oras partial ls\n  oras partial ls --older-than 24h ~/Downloads --format json",
    )
    .visible_alias("list")
    .args(flags::common())
    .args(flags::format())
    .args([age("Only what did not go on for so long"), places()]);
    let clean = args::command(
        "clean",
        "Remove what unfinished transfers have left, but what a process is at",
        "A later run begins anew what is removed. Unfinished uploads are deleted at their registries, too.\n\nExamples:\n  oras partial clean\n  oras partial clean --older-than 24h ~/Downloads",
    )
    .args(flags::common())
    .args(flags::remote(""))
    .args(flags::format())
    .args([flags::dry_run(), age("Only what did not go on for so long"), places()]);
    args::group("partial", "Work with what unfinished transfers have left").subcommands([ls, clean])
}

/// Runs the command `name`.
pub(crate) async fn run(name: &str, matches: &ArgMatches, printer: &Printer) -> Result<(), Failure> {
    let format = Format::read(matches, format::TEXT, *printer)?;
    let mut directories: Vec<_> = matches.words().into_iter().map(PathBuf::from).collect();
    if directories.is_empty() {
        directories.push(PathBuf::from("."));
    }
    let older_than = matches.try_get_one::<Duration>("older-than").ok().flatten().copied();
    let older_than = older_than.unwrap_or_default();
    let options = PartialOptions { directories, uploads: env::unfinished_uploads(), older_than };
    if name != "clean" || matches.on("dry-run") {
        let found = oras::list_partials(&options).await?;
        if matches!(format, Format::Text) {
            let verb = if name == "clean" { "Would remove " } else { "" };
            for line in lines(&found) {
                printer.line(format!("{verb}{line}"))?;
            }
        }
        return printer.report(&format, &found);
    }
    let remote = Remote::new(matches, "", printer)?;
    let removed = oras::clean_partials(&options, &remote.client()?).await?;
    if matches!(format, Format::Text) {
        for line in lines(&removed) {
            printer.line(format!("Removed {line}"))?;
        }
    }
    printer.report(&format, &removed)
}

/// A line for each: what it is, how large, how old, and where.
fn lines(found: &Partials) -> Vec<String> {
    let downloads = found.downloads.iter().map(|PartialDownload { path, size, touched, .. }| {
        format!("download  {:>9}  {:>9}  {}", human::bytes(*size), age(*touched), path.display())
    });
    let uploads = found.uploads.iter().map(|upload| {
        let PartialUpload { registry, repository, name, blob_size, touched, cancelled } = upload;
        let told = match cancelled {
            Some(false) => " (left to the registry to forget)",
            _ => "",
        };
        let (size, age) = (human::bytes(*blob_size), age(*touched));
        format!("upload    {size:>9}  {age:>9}  {registry}/{repository}@{name}{told}")
    });
    downloads.chain(uploads).collect()
}

/// How long ago, in days or less.
fn age(touched: SystemTime) -> String {
    const DAY: u64 = 24 * 3600;
    let seconds = touched.elapsed().unwrap_or_default().as_secs();
    match seconds / DAY {
        0 => human::duration(Duration::from_secs(seconds)),
        days => format!("{days}d"),
    }
}
