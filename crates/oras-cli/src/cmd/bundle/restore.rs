//! `oras bundle restore`.

use std::time::Instant;

use clap::{ArgMatches, Command};
use oras::bundle::{self, Bundle, BundleRestoreOptions, BundleTarget, NameMapping, RestoredBundle};
use oras::spec::reference::check_registry;

use super::sources::Registries;
use crate::args::{self, FormatArgs, ProgressArgs, RegistryArgs, TransferArgs, Usage, flags, values};
use crate::cmd::file_io::write_output;
use crate::cmd::tagged_artifacts::required_path;
use crate::failure::Failure;
use crate::format::{self, Format};
use crate::humanize;
use crate::print;
use crate::progress::{Progress, words::RESTORE};

const USAGE: Usage =
    Usage { path: "oras bundle restore", tail: "[flags] --input <file> <registry>[/<prefix>]|<directory>" };

flags::flags! {
    /// The arguments of `oras bundle restore`.
    struct RestoreArgs {
        #[flatten] _transfer: TransferArgs,
        #[flatten] registry: RegistryArgs,
        #[flatten] format: FormatArgs,
        #[flatten] progress: ProgressArgs,
        _distribution_spec: Option<String> = flags::distribution_spec(),
        input: Option<String> = flags::text("PATH", "Read this bundle (required)"),
        to_oci_layout: bool =
            flags::switch("The target is a directory with an OCI layout for each repository, as \"oras serve\" has it"),
        prefix: Option<String> = flags::text("NAME", "Put this before the names of all repositories"),
        replace: Vec<String> =
            flags::list("FROM=TO", "Restore repositories whose full name begins with FROM under TO, without their registry"),
        receipt: Option<String> =
            flags::text("PATH", "Write what the target has then to this file, for \"oras bundle create --have\""),
        dry_run: bool = flags::switch("Only show what would be restored"),
        concurrency: Option<i64> = flags::concurrency(),
        words: Vec<String> = flags::positional("<registry>[/<prefix>]|<directory>", "Target"),
    }
}

/// Creates the command.
pub(crate) fn command() -> Command {
    args::command(
        "restore",
        "Push all repositories of a bundle to a registry or a directory of OCI layouts",
        concat!(
            "A repository keeps its name without the registry: ghcr.io/me/web becomes me/web. The tags of\n",
            "a repository are written after its content. If an artifact fails, the others are restored.\n\n",
            "Examples:\n",
            "  oras bundle restore --input site.tar localhost:6000\n",
            "  oras bundle restore --input site.tar --prefix mirror localhost:6000\n",
            "  oras bundle restore --input site.tar --receipt receipt.json localhost:6000\n",
            "  oras bundle restore --input site.tar --replace ghcr.io/me=team localhost:6000\n",
            "  oras bundle restore --input site.tar --to-oci-layout ./layouts"
        ),
    )
    .args(RestoreArgs::flags(""))
}

/// Runs the command.
pub(crate) async fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let args = RestoreArgs::read(matches, "");
    USAGE.check(&args.words, 1, true, "the target to restore to")?;
    let format = Format::read(&args.format, format::TEXT).await?;
    let path = required_path(args.input.as_deref(), "input")?;
    let Target { target, name, prefix, registries } = Target::new(&args)?;
    let bundle = Bundle::open(&path).await?;
    let start = Instant::now();
    let prefix = [prefix.as_str(), args.prefix.as_deref().unwrap_or_default()].join("/");
    let options = BundleRestoreOptions::default()
        .names(NameMapping::default().prefix(prefix.trim_matches('/')).replace(replacements(&args.replace)?))
        .receipt(args.receipt.is_some())
        .dry_run(args.dry_run)
        .concurrency(values::count(args.concurrency, 0));
    let progress = Progress::start(RESTORE, &args.progress, &format);
    let restored = bundle::restore(&bundle, &target, options, progress.listener()).await;
    let restored = progress.finish(restored).map_err(|error| match &registries {
        Some(registries) => registries.failure(&error),
        None => Failure::from(error),
    })?;
    if let (Some(path), Some(receipt)) = (&args.receipt, &restored.receipt) {
        write_output(path, &receipt.to_bytes())?;
    }
    if format.is_for_people() {
        print_restored(&restored, &name)?;
    }
    format.report(&restored).await?;
    let failed: usize = restored.repositories.iter().map(|repository| repository.failed.len()).sum();
    if failed > 0 {
        return Err(Failure::new(format!("failed to restore {failed} artifact(s) of {path:?} to {name:?}")));
    }
    let count = restored.repositories.len();
    match format.is_for_people() {
        true if args.dry_run => print::status(format!(
            "Dry run complete: {count} repositories would be restored to {name:?} (no data written)"
        )),
        true => print::status(format!(
            "Successfully restored {count} repositories to {name:?} in {}",
            humanize::duration(start.elapsed())
        )),
        false => Ok(()),
    }
}

/// The target of a restore.
struct Target {
    target: BundleTarget,
    /// The name in messages: the registry or the directory.
    name: String,
    /// The first parts of all repositories.
    prefix: String,
    registries: Option<Registries>,
}

impl Target {
    fn new(args: &RestoreArgs) -> Result<Self, Failure> {
        let word = &args.words[0];
        if args.to_oci_layout {
            let (name, prefix) = (word.clone(), String::new());
            return Ok(Self { target: BundleTarget::directory(word), name, prefix, registries: None });
        }
        let (registry, prefix) = word.split_once('/').unwrap_or((word, ""));
        check_registry(registry).map_err(|error| {
            Failure::new(format!("invalid target {word:?}: {error}"))
                .advise("If the target is a directory, please use --to-oci-layout")
        })?;
        let registries = Registries::new(&args.registry, vec![registry.to_owned()])?;
        let target = BundleTarget::registry(registries.client(), registry);
        let (name, prefix) = (registry.to_owned(), prefix.to_owned());
        Ok(Self { target, name, prefix, registries: Some(registries) })
    }
}

/// Parses `--replace FROM=TO`.
fn replacements(texts: &[String]) -> Result<Vec<(String, String)>, Failure> {
    let parse = |text: &String| match text.split_once('=') {
        Some((from, to)) if !from.is_empty() => Ok((from.to_owned(), to.to_owned())),
        _ => Err(Failure::new(format!("invalid replacement {text:?}: expecting FROM=TO"))),
    };
    texts.iter().map(parse).collect()
}

fn print_restored(restored: &RestoredBundle, target: &str) -> Result<(), Failure> {
    for repository in &restored.repositories {
        print::status(format!(
            "{} => {target}/{}: {} tag(s), {} moved ({}), {} there, {} failed",
            repository.source,
            repository.name,
            repository.tags.len(),
            repository.moved,
            humanize::bytes(repository.moved_bytes),
            repository.present,
            repository.failed.len()
        ))?;
        for failed in &repository.failed {
            print::error(&format!(
                "failed to restore {}:{}: {}",
                repository.source, failed.reference, failed.reason
            ));
        }
    }
    Ok(())
}
