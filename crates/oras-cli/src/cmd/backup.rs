//! `oras backup`.

use std::time::Instant;

use clap::{ArgMatches, Command};
use oras::remote::Mirrored;
use oras::spec::MediaType;
use oras::store::ErrorKind;
use oras::{BackupOptions, BackupOutput, NoTags, report};

use crate::args::{self, FormatArgs, ProgressArgs, RegistryArgs, TransferArgs, Usage, flags, values};
use crate::cmd::tagged_artifacts::{TaggedArtifacts, required_path};
use crate::failure::Failure;
use crate::format::{self, Format};
use crate::humanize;
use crate::print;
use crate::progress::{Progress, tag_lines, words::BACKUP};

const USAGE: Usage = Usage {
    path: "oras backup",
    tail: "[flags] --output <path> <registry>/<repository>[:<ref1>[,<ref2>...]]",
};

flags::flags! {
    /// The arguments of `oras backup`.
    struct BackupArgs {
        #[flatten] _transfer: TransferArgs,
        #[flatten] registry: RegistryArgs,
        #[flatten] format: FormatArgs,
        #[flatten] progress: ProgressArgs,
        _distribution_spec: Option<String> = flags::distribution_spec(),
        output: Option<String> =
            flags::text("PATH", "Write to this directory or .tar file (required)").short('o'),
        include_referrers: bool = flags::switch("Save what refers to the artifacts too"),
        require_referrer: Vec<String> = flags::require_referrer(),
        dry_run: bool = flags::dry_run(),
        concurrency: Option<i64> = flags::concurrency(),
        words: Vec<String> = flags::positional("<registry>/<repository>[:<ref1>[,<ref2>...]]", "Repository and tags"),
    }
}

/// Creates the command.
pub(crate) fn command() -> Command {
    args::command(
        "backup",
        "Save artifacts of a repository in a directory or a tar archive",
        concat!(
            "The output is a tar archive if its name ends in .tar, else a directory. An archive is written while\n",
            "the content arrives and gets its name when it is complete. Without a tag, all tags are saved.\n\n",
            "Examples:\n",
            "  oras backup -o hello localhost:5000/hello:v1\n",
            "  oras backup -o hello.tar localhost:5000/hello:v1,v2\n",
            "  oras backup -o all.tar --include-referrers localhost:5000/hello\n",
            "  oras backup -o all.tar --dry-run --format json localhost:5000/hello"
        ),
    )
    .args(BackupArgs::flags(""))
}

/// Runs the command.
pub(crate) async fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let args = BackupArgs::read(matches, "");
    USAGE.check(&args.words, 1, true, "the artifacts to back up")?;
    let artifacts = TaggedArtifacts::new(&args.registry, &args.words[0])?;
    let format = Format::read(&args.format, format::TEXT).await?;
    let path = required_path(args.output.as_deref(), "output")?;
    let start = Instant::now();
    let dry_run = args.dry_run;
    let options = BackupOptions::default()
        .tags(artifacts.tags.clone())
        .referrers(args.include_referrers)
        .require_referrers(args.require_referrer.iter().map(|kind| MediaType::new(kind.clone())).collect())
        .concurrency(values::count(args.concurrency, 0))
        .dry_run(dry_run);
    let name = artifacts.repository.name();
    let progress = Progress::start(BACKUP, &args.progress, &format);
    let done = if dry_run { "Dry run: would pull" } else { "Pulled" };
    let listener = tag_lines::listener(progress.listener(), &format, name, done);
    let source = Mirrored::reader(&artifacts.repository)?;
    let backed_up = oras::backup(source, BackupOutput::of(&path), options, listener).await;
    let backed_up = progress.finish(backed_up).map_err(|error| {
        if error.find::<NoTags>().is_some() {
            return Failure::new(format!("no tags found in repository {name:?}"))
                .of_kind(ErrorKind::NotFound)
                .advise(format!("If you want to list available tags in {name:?}, use \"oras repo tags\""));
        }
        // An error without a side does not come from the registry, so the existing path is the output.
        if error.kind() == ErrorKind::AlreadyExists && error.side().is_none() {
            return Failure::from(error).advise(
                "To back up to a tar archive, please specify a different output file name or remove the \
                     existing directory.",
            );
        }
        artifacts.failure(error, "back up", name, &path)
    })?;

    let count = backed_up.artifacts.len();
    match format {
        Format::Text if dry_run => print::status(format!(
            "Dry run complete: {count} tag(s) would be backed up from {name:?} to {path:?} (no data written)"
        )),
        Format::Text => print::status(format!(
            "Successfully backed up {count} tag(s) from {name:?} to {path:?} in {}.",
            humanize::duration(start.elapsed())
        )),
        format => {
            let report = report::Backup::new(name, &path, &backed_up.artifacts);
            let archive_size = backed_up.archive_size;
            format.report(&report::Backup { dry_run, archive_size, ..report }).await
        }
    }
}
