//! `oras bundle create`.

use std::time::Instant;

use clap::{ArgMatches, Command};
use oras::bundle::{
    self, BundleOptions, BundleOutput, BundleSource, BundledRepository, CreatedBundle, Receipt,
    ReferrerSelection, Rules,
};
use oras::spec::MediaType;

use super::sources::{Registries, host, parse_references};
use crate::args::{self, FormatArgs, ProgressArgs, RegistryArgs, TransferArgs, Usage, flags, values};
use crate::cmd::file_io::read_input;
use crate::cmd::tagged_artifacts::required_path;
use crate::failure::Failure;
use crate::format::{self, Format};
use crate::humanize;
use crate::print;
use crate::progress::{Progress, words::BACKUP};

const USAGE: Usage = Usage {
    path: "oras bundle create",
    tail: "[flags] --output <file> <registry>/<repository>[:<tag>[,<tag>]...|@<digest>]...",
};

flags::flags! {
    /// The arguments of `oras bundle create`.
    struct CreateArgs {
        #[flatten] _transfer: TransferArgs,
        #[flatten] registry: RegistryArgs,
        #[flatten] format: FormatArgs,
        #[flatten] progress: ProgressArgs,
        _distribution_spec: Option<String> = flags::distribution_spec(),
        output: Option<String> =
            flags::text("PATH", "Write the bundle to this file, or to standard output if it is - (required)").short('o'),
        allow_missing: bool =
            flags::switch("List content that a registry names and does not have, instead of failing"),
        rules: Option<String> =
            flags::text("PATH", "Bundle what this file of rules (YAML or JSON) selects"),
        have: Vec<String> =
            flags::list("PATH", "Leave out what the receiver has according to this receipt"),
        require_referrer: Vec<String> = flags::require_referrer(),
        exclude_referrers: bool = flags::switch("Leave out what refers to the artifacts"),
        dry_run: bool = flags::dry_run(),
        concurrency: Option<i64> = flags::concurrency(),
        words: Vec<String> =
            flags::positional("<registry>/<repository>[:<tag>[,<tag>]...|@<digest>]...", "What to bundle"),
    }
}

/// Creates the command.
pub(crate) fn command() -> Command {
    args::command(
        "create",
        "Write artifacts of many repositories, with everything that refers to them, to one file",
        concat!(
            "The bundle is an OCI image layout in a tar archive. Each tag has its full name.\n",
            "A repository without a tag stands for all of its tags. Signatures, SBOMs and other\n",
            "referrers come along, at every level, also those with cosign's tags. An interrupted\n",
            "run is resumed by the same command, in the middle of a blob.\n\n",
            "Examples:\n",
            "  oras bundle create -o site.tar localhost:5000/web:v1,v2 localhost:5000/db\n",
            "  oras bundle create -o site.tar --rules rules.yaml --dry-run\n",
            "  oras bundle create -o delta.tar --have receipt.json localhost:5000/web\n",
            "  oras bundle create -o - localhost:5000/web:v1 | ssh far 'cat > web.tar'\n",
            "  oras bundle create -o site.tar --allow-missing localhost:5000/web"
        ),
    )
    .args(CreateArgs::flags(""))
}

/// Runs the command.
pub(crate) async fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let args = CreateArgs::read(matches, "");
    if args.rules.is_none() {
        USAGE.check(&args.words, 1, false, "the artifacts to bundle")?;
    }
    let format = Format::read(&args.format, format::TEXT).await?;
    let path = required_path(args.output.as_deref(), "output")?;
    if !args.dry_run {
        format.check_output(&args.format, Some(&path))?;
    }
    let have = args.have.iter().map(|path| Ok(Receipt::parse(&read_input(path)?)?));
    let have = have.collect::<Result<Vec<_>, Failure>>()?;
    let (sources, registries) = sources(&args).await?;
    let start = Instant::now();
    let output = match path.as_str() {
        "-" => {
            if !args.dry_run {
                // Standard output has the bundle, so no line may be printed there.
                print::be_quiet();
            }
            BundleOutput::Writer(Box::new(std::io::stdout()))
        }
        path => BundleOutput::File(path.into()),
    };
    let options = BundleOptions::default()
        .allow_missing(args.allow_missing)
        .have(have)
        .require_referrers(args.require_referrer.iter().map(|kind| MediaType::new(kind.clone())).collect())
        .dry_run(args.dry_run)
        .concurrency(values::count(args.concurrency, 0));
    let progress = Progress::start(BACKUP, &args.progress, &format);
    let created = bundle::create(sources, output, options, progress.listener()).await;
    let created = progress.finish(created).map_err(|error| {
        let failure = registries.failure(&error);
        match error.kind() {
            oras::store::ErrorKind::NotFound if !args.allow_missing => {
                failure.advise("If the bundle shall list what is missing instead, please use --allow-missing")
            }
            _ => failure,
        }
    })?;
    if format.is_for_people() {
        print_created(&created, &path, start)?;
    }
    format.report(&created).await
}

/// Returns the repositories that the rules and the references on the command line select. References come first: a
/// repository that they name is not selected by rules.
async fn sources(args: &CreateArgs) -> Result<(Vec<BundleSource>, Registries), Failure> {
    let rules = match &args.rules {
        Some(path) => {
            let text = String::from_utf8(read_input(path)?);
            let text = text.map_err(|_| Failure::new(format!("{path} is not UTF-8 text")))?;
            Some(Rules::parse(&text).map_err(|error| error.context(format!("failed to read {path}")))?)
        }
        None => None,
    };
    let references = parse_references(&args.words)?;
    let mut hosts: Vec<_> = references.keys().map(|name| host(name)).collect();
    hosts.extend(rules.iter().flat_map(Rules::registries));
    let registries = Registries::new(&args.registry, hosts)?;
    let mut sources = Vec::new();
    for (name, references) in &references {
        sources.push(registries.source(name)?.references(references));
    }
    if let Some(rules) = rules {
        let selected = rules.sources(registries.client()).await;
        let selected = selected.map_err(|error| registries.failure(&error))?;
        sources.extend(selected.into_iter().filter(|source| !references.contains_key(&source.name)));
    }
    if args.exclude_referrers {
        let without = |source: BundleSource| source.referrers(ReferrerSelection::None);
        sources = sources.into_iter().map(without).collect();
    }
    Ok((sources, registries))
}

fn print_created(created: &CreatedBundle, path: &str, start: Instant) -> Result<(), Failure> {
    let inventory = &created.inventory;
    for repository in &inventory.repositories {
        print::status(summary(repository))?;
        print_missing(repository);
    }
    let size = humanize::bytes(inventory.size);
    let what = format!(
        "{} repositories, {} blobs and manifests, {size}",
        inventory.repositories.len(),
        inventory.contents
    );
    if created.dry_run {
        return print::status(format!(
            "Dry run complete: {what} would be bundled in {path:?} (no data written)"
        ));
    }
    if created.resumed_bytes > 0 {
        let resumed = humanize::bytes(created.resumed_bytes);
        print::status(format!("Resumed an interrupted run: {resumed} were not fetched again"))?;
    }
    let archive_size = humanize::bytes(created.archive_size.unwrap_or_default());
    let time = humanize::duration(start.elapsed());
    print::status(format!("Successfully bundled {what} in {path:?} ({archive_size}) in {time}"))
}

/// Warns of the content that the repository lists and does not have.
fn print_missing(repository: &BundledRepository) {
    for missing in &repository.missing {
        print::error(&super::ls::missing_line(&repository.name, missing));
    }
}

/// Returns the line about a repository.
pub(super) fn summary(repository: &BundledRepository) -> String {
    let BundledRepository { name, tags, referrers, manifests, blobs, size, omitted, .. } = repository;
    let left_out = match omitted.len() {
        0 => String::new(),
        count => format!(", {count} left out"),
    };
    format!(
        "{name}: {} tag(s), {} referrer(s), {manifests} manifest(s), {blobs} blob(s), {}{left_out}",
        tags.len(),
        referrers.len(),
        humanize::bytes(*size)
    )
}
