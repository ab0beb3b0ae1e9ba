//! `oras restore`.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use clap::{ArgMatches, Command};
use oras::store::{ErrorKind, ReadStore};
use oras::{NoTags, NotTar, RestoreOptions, report};

use crate::args::{self, FormatArgs, ProgressArgs, RegistryArgs, TransferArgs, Usage, flags, values};
use crate::cmd::tagged_artifacts::{TaggedArtifacts, required_path};
use crate::failure::Failure;
use crate::format::{self, Format};
use crate::hints::Subject;
use crate::humanize;
use crate::print;
use crate::progress::{Progress, tag_lines, words::RESTORE};

const USAGE: Usage = Usage {
    path: "oras restore",
    tail: "[flags] --input <path> <registry>/<repository>[:<ref1>[,<ref2>...]]",
};

flags::flags! {
    /// The arguments of `oras restore`.
    struct RestoreArgs {
        #[flatten] _transfer: TransferArgs,
        #[flatten] registry: RegistryArgs,
        #[flatten] format: FormatArgs,
        #[flatten] progress: ProgressArgs,
        _distribution_spec: Option<String> = flags::distribution_spec(),
        input: Option<String> = flags::text("PATH", "Read this directory or tar archive (required)"),
        exclude_referrers: bool = flags::switch("Leave out what refers to the artifacts"),
        dry_run: bool = flags::switch("Only show what would be restored"),
        concurrency: Option<i64> = flags::concurrency(),
        words: Vec<String> = flags::positional("<registry>/<repository>[:<ref1>[,<ref2>...]]", "Repository and tags"),
    }
}

/// Creates the command.
pub(crate) fn command() -> Command {
    args::command(
        "restore",
        "Push the artifacts of a backup or an OCI layout to a repository",
        concat!(
            "Without a tag, all tags of the layout are restored. What refers to the artifacts comes along.\n\n",
            "Examples:\n",
            "  oras restore --input hello localhost:5000/hello:v1\n",
            "  oras restore --input hello.tar localhost:5000/hello:v1,v2\n",
            "  oras restore --input all.tar --dry-run localhost:5000/hello\n",
            "  oras restore --input all.tar --exclude-referrers localhost:5000/hello"
        ),
    )
    .args(RestoreArgs::flags(""))
}

/// Runs the command.
pub(crate) async fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let args = RestoreArgs::read(matches, "");
    USAGE.check(&args.words, 1, true, "the targets to restore to")?;
    let artifacts = TaggedArtifacts::new(&args.registry, &args.words[0])?;
    let format = Format::read(&args.format, format::TEXT).await?;
    let path = required_path(args.input.as_deref(), "input")?;
    let start = Instant::now();
    let dry_run = args.dry_run;
    let source = open(&path, format.is_for_people()).await?;
    let options = RestoreOptions::default()
        .tags(artifacts.tags.clone())
        .exclude_referrers(args.exclude_referrers)
        .concurrency(values::count(args.concurrency, 0))
        .dry_run(dry_run);
    let progress = Progress::start(RESTORE, &args.progress, &format);
    let done = if dry_run { "Dry run: would push" } else { "Pushed" };
    let listener = tag_lines::listener(progress.listener(), &format, "the backup", done);
    let name = artifacts.repository.name();
    let target = Arc::new(artifacts.repository.clone());
    let restored = oras::restore(source, target, options, listener).await;
    let restored = progress.finish(restored).map_err(|error| {
        if error.find::<NoTags>().is_some() {
            return no_tags(&path, "");
        }
        artifacts.failure(error, "restore", &path, name)
    })?;

    let count = restored.len();
    match format {
        Format::Text if dry_run => print::status(format!(
            "Dry run complete: {count} tag(s) would be restored to {name:?} (no data pushed)"
        )),
        Format::Text => print::status(format!(
            "Successfully restored {count} tag(s) to {name:?} in {}",
            humanize::duration(start.elapsed())
        )),
        format => {
            let report = report::Backup::new(name, &path, &restored);
            format.report(&report::Backup { dry_run, ..report }).await
        }
    }
}

/// Returns the failure for a layout without tags. In the message, `reason` follows the path.
fn no_tags(path: &str, reason: &str) -> Failure {
    Failure::new(format!("no tags found in OCI layout {path:?}{reason}")).of_kind(ErrorKind::NotFound).advise(
        format!("If you want to list available tags in {path:?}, use \"oras repo tags --oci-layout\""),
    )
}

/// Opens the layout. Rejects a directory that is not a layout; the Go tool turns it into one.
async fn open(path: &str, has_status_lines: bool) -> Result<Arc<dyn ReadStore>, Failure> {
    let metadata = Path::new(path).metadata().map_err(|error| {
        Failure::of_io(format!("failed to access input path {path:?}: stat {path}"), &error)
    })?;
    if !metadata.is_file() && !metadata.is_dir() {
        return Err(Failure::new(format!("input path {path:?} must be a directory or a tar archive")));
    }
    // The errors distinguish a file that is not an archive from a damaged archive.
    let what = if metadata.is_dir() { "directory" } else { "tar archive" };
    let source = oras::open_layout(path).await.map_err(|error| match error.find() {
        // Without the suffix `.tar` the user has probably named a wrong file. With it, the archive is damaged.
        Some(NotTar::Truncated | NotTar::BadHeader) if !path.to_ascii_lowercase().ends_with(".tar") => {
            Failure::new(format!("input path {path:?} is not a tar archive"))
                .of_kind(ErrorKind::InvalidContent)
        }
        Some(NotTar::Compressed(_)) => {
            Failure::about(&error, &Subject { layout: Some(path.to_owned()), ..Subject::default() })
        }
        _ if metadata.is_dir() && matches!(Path::new(path).join("oci-layout").try_exists(), Ok(false)) => {
            no_tags(path, ": it is not an OCI image layout, as it has no oci-layout file")
        }
        _ => Failure::from(error.context(format!("failed to prepare OCI store from {what} {path:?}"))),
    })?;
    if has_status_lines && metadata.is_file() {
        print::status(format!("Loaded backup archive: {path} ({})", humanize::bytes(metadata.len())))?;
    }
    Ok(source)
}
