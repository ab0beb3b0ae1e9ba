//! `oras layout repair`.

use std::path::Path;

use clap::{ArgMatches, Command};
use oras::{LayoutRepair, RepairOptions, RepairOutcome, RepairSource};
use serde::Serialize;

use super::check::{DAMAGED, failure};
use super::check_progress::forward;
use crate::args::{self, FormatArgs, LocationArgs, ProgressArgs, RegistryArgs, Usage, flags};
use crate::artifact_location::ArtifactLocation;
use crate::exit_status;
use crate::failure::Failure;
use crate::format::{self, Format};
use crate::humanize;
use crate::print;
use crate::progress::{Progress, words::CHECK};

const USAGE: Usage = Usage { path: "oras layout repair", tail: "[flags] --from <source> <path>" };

/// The exit status if everything was repaired. With `ORAS_EXIT_CODES`, failures have the statuses 2 to 6.
const REPAIRED: u8 = 7;

flags::flags! {
    /// The arguments of `oras layout repair`.
    struct RepairArgs {
        #[flatten] _registry: RegistryArgs,
        #[flatten] format: FormatArgs,
        #[flatten] progress: ProgressArgs,
        from: Vec<String> = flags::list(
            "SOURCE",
            "Fetch from <registry>/<repository>[:<tag>] or from the layout <path>[:<tag>]; may be repeated",
        ),
        words: Vec<String> = flags::positional("--from <source> <path>", "OCI layout"),
    }
}

/// Creates the command.
pub(super) fn command() -> Command {
    args::command(
        "repair",
        "Fetch the damaged and missing content of an OCI layout again",
        concat!(
            "Checks the layout, fetches what is damaged or missing by its digest, and checks it again. A blob is\n",
            "replaced when its new content is verified, and is never deleted before. A damaged index.json is\n",
            "rebuilt: from its readable part, from the tags of the sources, and from the manifests in the layout.\n",
            "A copy of it stays as index.json.damaged.\n\n",
            "Exit status: 0 if nothing was damaged, 7 if everything was repaired, 1 if damage remains, 2 if the\n",
            "repair failed.\n\n",
            "Examples:\n",
            "  oras layout repair --from localhost:5000/hello ./layout\n",
            "  oras layout repair --from ghcr.io/team/app:v1 --from ./copy ./layout\n",
            "  oras layout repair --from backup.tar --format json ./layout"
        ),
    )
    .args(RepairArgs::flags(""))
}

/// The report for programs.
#[derive(Serialize)]
struct Report<'a> {
    outcome: RepairOutcome,
    #[serde(flatten)]
    repair: &'a LayoutRepair,
}

/// Runs the command.
pub(super) async fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let args = RepairArgs::read(matches, "");
    USAGE.check(&args.words, 1, true, "the layout to repair")?;
    let format = Format::read(&args.format, format::TEXT).await?;
    let mut sources = Vec::new();
    for from in &args.from {
        sources.push(source(matches, from).await?);
    }
    let path = &args.words[0];
    let progress = Progress::of_check(CHECK, &args.progress);
    let options = RepairOptions::default().sources(sources).progress(forward(progress.listener()));
    let repair = oras::repair_layout(path, options).await.map_err(|error| failure(&error, path))?;
    progress.end();
    let outcome = repair.outcome();
    match outcome {
        RepairOutcome::Clean => {}
        RepairOutcome::Repaired => exit_status::set(REPAIRED),
        _ => exit_status::set(DAMAGED),
    }
    if format.is_for_people() {
        return print_repair(&repair);
    }
    format.report(&Report { outcome, repair: &repair }).await
}

/// Opens a source: a layout if the path exists, else a repository.
async fn source(matches: &ArgMatches, from: &str) -> Result<RepairSource, Failure> {
    let location = LocationArgs::read(matches, "");
    let location = if is_layout(from) { location.into_layout() } else { location };
    let location = ArtifactLocation::new(&location, "", from)?;
    let reference = Some(location.reference.clone()).filter(|reference| !reference.is_empty());
    Ok(RepairSource::new(location.source().await?, from).reference(reference))
}

/// Returns true if the text is the path of a file or directory, or such a path with a tag or digest.
fn is_layout(from: &str) -> bool {
    let without_digest = from.rsplit_once('@').map_or(from, |(path, _)| path);
    let without_tag = without_digest.rsplit_once(':').map_or(without_digest, |(path, _)| path);
    [from, without_digest, without_tag].iter().any(|path| Path::new(path).exists())
}

fn print_repair(repair: &LayoutRepair) -> Result<(), Failure> {
    if repair.marker_rewritten {
        print::status("Rewrote oci-layout")?;
    }
    if !repair.restored_entries.is_empty() || repair.damaged_index.is_some() {
        let copy = repair.damaged_index.as_deref();
        let copy = copy.map_or_else(String::new, |copy| format!("; the damaged one is {copy}"));
        let entries = u64::try_from(repair.restored_entries.len()).unwrap_or(u64::MAX);
        let entries = if entries == 1 { "1 entry".to_owned() } else { format!("{entries} entries") };
        print::status(format!("Rebuilt index.json with {entries}{copy}"))?;
    }
    for entry in &repair.restored_entries {
        let tag = entry.tag.as_deref().unwrap_or("-");
        print::status(format!("Restored  {tag}  {}  from {}", entry.digest, entry.from))?;
    }
    for blob in &repair.repaired {
        let size = humanize::binary(blob.size);
        print::status(format!("Repaired  {}  {size}  from {}", blob.digest, blob.from))?;
    }
    for blob in &repair.unavailable {
        for reason in &blob.reasons {
            print::line(format!("Not found  {}: {reason}", blob.digest))?;
        }
    }
    for problem in repair.check.damage() {
        print::line(format!("{:<10}  {problem}", problem.kind.label()))?;
    }
    let result = match repair.outcome() {
        RepairOutcome::Clean => "clean, nothing to repair".to_owned(),
        RepairOutcome::Repaired => "repaired".to_owned(),
        _ => format!("{} left", humanize::count(repair.check.damage().count() as u64, "problem")),
    };
    print::line(format!("{}: {result}", repair.path.display()))
}
