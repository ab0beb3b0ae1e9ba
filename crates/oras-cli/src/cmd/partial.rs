//! `oras partial`: the partial downloads and uploads of interrupted transfers.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::{ArgMatches, Command};
use oras::remote::Client;
use oras::{PartialDownload, PartialOptions, PartialTransfers, PartialUpload};

use crate::args::{self, FormatArgs, RegistryArgs, flags, values};
use crate::env;
use crate::failure::Failure;
use crate::format::{self, Format};
use crate::humanize;
use crate::print;
use crate::registry_access::RegistryAccess;

const PATHS: &str = "Directories or OCI layouts to look in, and below [default: .]";

flags::flags! {
    /// The arguments of `oras partial ls`.
    struct ListArgs {
        #[flatten] format: FormatArgs,
        older_than: Option<Duration> = flags::text("DURATION", "Only those without progress for this time")
            .value_parser(values::period),
        words: Vec<String> = flags::positional("[path...]", PATHS),
    }
}

flags::flags! {
    /// The arguments of `oras partial clean`.
    struct CleanArgs {
        #[flatten] registry: RegistryArgs,
        #[flatten] list: ListArgs,
        dry_run: bool = flags::dry_run(),
    }
}

/// Creates the group with its commands.
pub(crate) fn command() -> Command {
    let ls = args::command(
        "ls",
        "List partial downloads and uploads, except those in use",
        "Examples:\n  oras partial ls\n  oras partial ls --older-than 24h ~/Downloads --format json",
    )
    .visible_alias("list")
    .args(ListArgs::flags(""));
    let clean = args::command(
        "clean",
        "Delete partial downloads and uploads, except those in use",
        "A later run starts from the beginning. Unfinished uploads are also deleted at their registries.\n\nExamples:\n  oras partial clean\n  oras partial clean --older-than 24h ~/Downloads",
    )
    .args(CleanArgs::flags(""));
    args::group("partial", "List or delete partial downloads and uploads").subcommands([ls, clean])
}

/// Runs a command of the group.
pub(crate) async fn run(matches: &ArgMatches) -> Result<(), Failure> {
    match matches.subcommand() {
        Some(("clean", matches)) => clean(&CleanArgs::read(matches, "")).await,
        Some((_, matches)) => list(&ListArgs::read(matches, "")).await,
        None => Ok(()),
    }
}

async fn list(args: &ListArgs) -> Result<(), Failure> {
    let format = Format::read(&args.format, format::TEXT).await?;
    let found = oras::list_partial_transfers(&options(args)).await?;
    print(&found, "", &format).await
}

async fn clean(args: &CleanArgs) -> Result<(), Failure> {
    let format = Format::read(&args.list.format, format::TEXT).await?;
    let options = options(&args.list);
    // A dry run sends no requests, so it returns before credentials are read.
    if args.dry_run {
        return print(&oras::list_partial_transfers(&options).await?, "Would remove ", &format).await;
    }
    let access = RegistryAccess::new(&args.registry, "")?;
    // The command line names no registry, so a credential of the flags is for each registry with an upload.
    let uploads = match access.credential {
        Some(_) => oras::list_partial_transfers(&options).await?.uploads,
        None => Vec::new(),
    };
    let servers = uploads.iter().map(|upload| server(&upload.registry));
    let client = Client::new(access.options_for(servers))?;
    let removed = oras::clean_partial_transfers(&options, &client).await?;
    print(&removed, "Removed ", &format).await
}

/// Returns the host of an origin, with the port unless it is the default of the scheme.
fn server(origin: &str) -> &str {
    let (scheme, server) = origin.split_once("://").unwrap_or(("", origin));
    let port = if scheme == "http" { ":80" } else { ":443" };
    server.strip_suffix(port).unwrap_or(server)
}

fn options(args: &ListArgs) -> PartialOptions {
    let directories = args.words.iter().map(PathBuf::from).collect();
    PartialOptions::default()
        .directories(if args.words.is_empty() { vec![".".into()] } else { directories })
        .uploads(env::unfinished_uploads())
        .older_than(args.older_than.unwrap_or_default())
}

/// Prints a line for each partial transfer, with `verb` before it, or prints the report in a format for programs.
async fn print(partials: &PartialTransfers, verb: &str, format: &Format) -> Result<(), Failure> {
    if matches!(format, Format::Text) {
        for line in lines(partials) {
            print::line(format!("{verb}{line}"))?;
        }
    }
    format.report(partials).await
}

/// Returns a line for each partial transfer: kind, size, age and location.
fn lines(found: &PartialTransfers) -> Vec<String> {
    let downloads = found.downloads.iter().map(|PartialDownload { path, size, touched, .. }| {
        format!("download  {:>9}  {:>9}  {}", humanize::bytes(*size), age(*touched), path.display())
    });
    let uploads = found.uploads.iter().map(|upload| {
        let PartialUpload { registry, repository, name, blob_size, touched, cancelled } = upload;
        let note = match cancelled {
            // The session could not be deleted, so it remains until the registry's own timeout.
            Some(false) => " (left to the registry to forget)",
            _ => "",
        };
        let (size, age) = (humanize::bytes(*blob_size), age(*touched));
        format!("upload    {size:>9}  {age:>9}  {registry}/{repository}@{name}{note}")
    });
    downloads.chain(uploads).collect()
}

/// Formats the time since `touched`, in days if it is more than one.
fn age(touched: SystemTime) -> String {
    const DAY: u64 = 24 * 3600;
    let seconds = touched.elapsed().unwrap_or_default().as_secs();
    match seconds / DAY {
        0 => humanize::duration(Duration::from_secs(seconds)),
        days => format!("{days}d"),
    }
}
