//! `oras backup`.

use std::sync::Arc;
use std::time::Instant;

use clap::{ArgMatches, Command};
use oras::remote::Mirrored;
use oras::store::Kind;
use oras::{BackupOptions, BackupOutput, Listener, NoTags, report};

use super::listener;
use crate::args;
use crate::args::flags::{self, Matches};
use crate::artifacts::{Artifacts, TagLines, TagWarnings, required_path};
use crate::error::Failure;
use crate::format::{self, Format};
use crate::human;
use crate::output::Printer;
use crate::status::BACKUP;
use crate::target::Usage;

const USAGE: Usage = Usage {
    path: "oras backup",
    tail: "[flags] --output <path> <registry>/<repository>[:<ref1>[,<ref2>...]]",
};

/// The command with its flags.
pub(crate) fn command() -> Command {
    args::command(
        "backup",
        "Save artifacts of a repository in an OCI layout, a directory or a tar archive",
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
    .args(flags::common())
    .args(flags::remote(""))
    .args(flags::format_too())
    .args([
        flags::no_tty(),
        flags::progress(),
        flags::distribution_spec(""),
        flags::text("output", "PATH", "Write to this directory or .tar file (required)").short('o'),
        flags::switch("include-referrers", "Save what refers to the artifacts too"),
        flags::dry_run(),
        flags::concurrency(),
        flags::positional("<registry>/<repository>[:<ref1>[,<ref2>...]]", "Repository and tags"),
    ])
}

/// Runs it.
pub(crate) async fn run(matches: &ArgMatches, printer: &Printer) -> Result<(), Failure> {
    let words = matches.words();
    USAGE.check(&words, 1, true, "the artifacts to back up")?;
    let artifacts = Artifacts::new(matches, &words[0], printer)?;
    let format = Format::read(matches, format::TEXT, *printer)?;
    let path = required_path(matches, "output")?;
    let begun = Instant::now();
    let dry_run = matches.on("dry-run");
    let options = BackupOptions {
        tags: artifacts.tags.clone(),
        referrers: matches.on("include-referrers"),
        concurrency: matches.count("concurrency", 0),
        dry_run,
    };
    let name = artifacts.repository.name();
    let nodes = listener(BACKUP, matches, &format, *printer);
    let listener: Arc<dyn Listener> = if format.is_for_people() {
        let done = if dry_run { "Dry run: would pull" } else { "Pulled" };
        Arc::new(TagLines { printer: *printer, place: name.to_owned(), done, nodes })
    } else {
        nodes
    };
    let listener = Arc::new(TagWarnings { printer: *printer, inner: listener });
    let source = Mirrored::reader(&artifacts.repository)?;
    let backed_up =
        oras::backup(source, BackupOutput::of(&path), options, listener).await.map_err(|error| {
            if error.find::<NoTags>().is_some() {
                return Failure::new(format!("no tags found in repository {name:?}"))
                    .of_kind(Kind::NotFound)
                    .advise(format!(
                        "If you want to list available tags in {name:?}, use \"oras repo tags\""
                    ));
            }
            if error.kind() == Kind::AlreadyExists && error.side().is_none() {
                return Failure::from(error).advise(
                    "To back up to a tar archive, please specify a different output file name or remove the \
                     existing directory.",
                );
            }
            artifacts.failure(error, "back up", name, &path)
        })?;

    let count = backed_up.artifacts.len();
    match format {
        Format::Text if dry_run => printer.line(format!(
            "Dry run complete: {count} tag(s) would be backed up from {name:?} to {path:?} (no data written)"
        )),
        Format::Text => printer.line(format!(
            "Successfully backed up {count} tag(s) from {name:?} to {path:?} in {}.",
            human::duration(begun.elapsed())
        )),
        format => {
            let report = report::Backup::new(name, &path, &backed_up.artifacts);
            let archive_size = backed_up.archive_size;
            printer.report(&format, &report::Backup { dry_run, archive_size, ..report })
        }
    }
}
