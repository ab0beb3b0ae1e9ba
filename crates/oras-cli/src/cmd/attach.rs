//! `oras attach`.

use clap::{ArgMatches, Command};
use oras::{Artifact, AttachOptions, report};

use super::pack_args::{self, PackArgs};
use crate::args::{self, FormatArgs, LocationArgs, ProgressArgs, TransferArgs, Usage, flags, values};
use crate::artifact_location::ArtifactLocation;
use crate::failure::Failure;
use crate::format::{self, Format};
use crate::print;
use crate::progress::{Progress, words::PUSH};

const USAGE: Usage = Usage {
    path: "oras attach",
    tail: "[flags] --artifact-type=<type> <name>{:<tag>|@<digest>} \
           {<file>[:<layer_media_type>]|--annotation <key>=<value>} [...]",
};

flags::flags! {
    /// The arguments of `oras attach`.
    struct AttachArgs {
        #[flatten] _transfer: TransferArgs,
        #[flatten] location: LocationArgs,
        #[flatten] format: FormatArgs,
        #[flatten] pack: PackArgs,
        #[flatten] progress: ProgressArgs,
        _verbose: bool = flags::verbose(),
        platform: Option<String> = flags::platform(),
        _distribution_spec: Option<String> = flags::distribution_spec(),
        artifact_type: Option<String> = flags::text("TYPE", "Type of the artifact (required)"),
        config: Option<String> = flags::text("PATH[:TYPE]", "Use this file as the config"),
        dry_run: bool = flags::dry_run(),
        concurrency: Option<i64> = flags::concurrency(),
        words: Vec<String> =
            flags::positional("<name>{:<tag>|@<digest>} <file>[:<type>]", "Subject, then files"),
    }
}

/// Creates the command.
pub(crate) fn command() -> Command {
    args::command(
        "attach",
        "Attach files to an existing artifact",
        concat!(
            "Examples:\n",
            "  oras attach --artifact-type application/spdx+json \\\n    localhost:5000/hello:v1 sbom.json\n",
            "  oras attach --artifact-type doc/example localhost:5000/hello:v1 -a key=value\n",
            "  oras attach --artifact-type doc/example --oci-layout ./dir:v1 notes.md\n",
            "  oras attach --artifact-type doc/example localhost:5000/hello@sha256:… a.md"
        ),
    )
    .args(AttachArgs::flags(""))
}

/// Runs the command.
pub(crate) async fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let args = AttachArgs::read(matches, "");
    let words = &args.words;
    USAGE.check(words, 1, false, "the destination artifact for attaching.")?;
    let packed = pack_args::read(&args.pack, &args.location.registry.connection, &words[1..])?;
    // A user who gives only one argument has probably given the file and forgotten the reference.
    let asks_for_reference = |failure: Failure| match &failure.advice {
        Some(advice) if words.len() == 1 => {
            let advice = format!("Are you missing an artifact reference to attach to? {advice}");
            failure.advise(advice)
        }
        _ => failure,
    };
    let target = ArtifactLocation::new(&args.location, "", &words[0]).map_err(|failure| {
        if failure.message.contains("invalid reference") { asks_for_reference(failure) } else { failure }
    })?;
    let format = Format::read(&args.format, format::TEXT).await?;
    let platform = values::platform(args.platform.as_ref())?;
    flags::exclusive!("", args.config, args.platform)?;
    let reference = target.require_reference(&USAGE, true).map_err(asks_for_reference)?;
    let Some(artifact_type) = args.artifact_type.as_deref() else {
        return Err(Failure::new("required flag(s) \"artifact-type\" not set"));
    };
    if packed.contents.files.is_empty() && packed.contents.annotations.is_empty() {
        return Err(Failure::new("neither file nor annotation provided in the command").usage(USAGE.line()).advise(
            "To attach to an existing artifact, please provide files via argument or annotations via flag \
             \"--annotation\". Run \"oras attach -h\" for more options and examples",
        ));
    }
    let artifact = match artifact_type {
        "" => Artifact::untyped(),
        artifact_type => Artifact::new(artifact_type),
    };
    let artifact = pack_args::with_config(artifact, pack_args::config(args.config.as_ref())?);
    let artifact = pack_args::add(artifact, packed.contents).directories(pack_args::directories(&args.pack)?);
    let options = AttachOptions::default().platform(platform).concurrency(values::count(args.concurrency, 0));
    // This check comes before the first request, so that a wrong path fails before anything is uploaded.
    let export = pack_args::export_path(&args.pack)?;
    let mut store = target.store().await?;
    let dry_run = args.dry_run;
    if dry_run {
        store = oras::dry_run(store);
    }
    let progress = Progress::start(PUSH.dry(dry_run), &args.progress, &format);
    let attached = oras::attach(store, reference, artifact, options, progress.listener()).await;
    let attached = target.explain(progress.finish(attached))?;

    match format {
        Format::Text => {
            // The line names the subject by digest, because its tag may name another manifest later.
            let subject = attached.subject.digest.to_string();
            let raw = if target.raw.ends_with(&subject) {
                target.raw.clone()
            } else {
                format!("{}@{subject}", target.path)
            };
            print::status(format!(
                "{} {}\nDigest: {}",
                if dry_run { "Dry run: would attach to" } else { "Attached to" },
                target.display_as(&raw),
                attached.root.digest
            ))?;
        }
        format => format.report(&report::Node::new(&target.path, &attached.root)).await?,
    }
    // The temporary file with standard input must exist until the upload is complete.
    drop(packed.spooled);
    pack_args::export(export.as_deref(), &attached.manifest)
}
