//! `oras attach`.

use clap::{ArgMatches, Command};
use oras::{AttachOptions, report};

use super::{listener, pack, platform};
use crate::args;
use crate::args::flags::{self, Matches, exclusive};
use crate::error::Failure;
use crate::format::{self, Format};
use crate::output::Printer;
use crate::status::PUSH;
use crate::target::{Target, Usage};

const USAGE: Usage = Usage {
    path: "oras attach",
    tail: "[flags] --artifact-type=<type> <name>{:<tag>|@<digest>} \
           {<file>[:<layer_media_type>]|--annotation <key>=<value>} [...]",
};

/// The command with its flags.
pub(crate) fn command() -> Command {
    args::command(
        "attach",
        "Attach files to an existing artifact",
        concat!(
            "Examples:\n",
            "  oras attach --artifact-type application/spdx+json \\\n    localhost:5000/hello:v1 sbom.json\n",
            "  oras attach --artifact-type doc/example localhost:5000/hello:v1 -a key=value"
        ),
    )
    .args(flags::common())
    .args(flags::remote(""))
    .args(flags::layout(""))
    .args(flags::format())
    .args(flags::pack())
    .args([
        flags::no_tty(),
        flags::progress(),
        flags::verbose(),
        flags::platform(),
        flags::distribution_spec(""),
        flags::text("artifact-type", "TYPE", "Type of the artifact (required)"),
        flags::text("config", "PATH[:TYPE]", "Use this file as the config"),
        flags::dry_run(),
        flags::concurrency(),
        flags::positional("<name>{:<tag>|@<digest>} <file>[:<type>]", "Subject, then files"),
    ])
}

/// Runs it.
pub(crate) async fn run(matches: &ArgMatches, printer: &Printer) -> Result<(), Failure> {
    let words = matches.words();
    USAGE.check(&words, 1, false, "the destination artifact for attaching.")?;
    let packed = pack::read(matches, &words[1..])?;
    let asks_for_reference = |failure: Failure| match &failure.advice {
        Some(advice) if words.len() == 1 => {
            let advice = format!("Are you missing an artifact reference to attach to? {advice}");
            failure.advise(advice)
        }
        _ => failure,
    };
    let target = Target::new(matches, "", &words[0], printer).map_err(|failure| {
        if failure.message.contains("invalid reference") { asks_for_reference(failure) } else { failure }
    })?;
    let format = Format::read(matches, format::TEXT, *printer)?;
    let platform = platform(matches, "platform")?;
    exclusive(matches, "", &["config", "platform"])?;
    let reference = target.require_reference(&USAGE, true).map_err(asks_for_reference)?;
    let Some(artifact_type) = matches.text("artifact-type") else {
        return Err(Failure::new("required flag(s) \"artifact-type\" not set"));
    };
    if packed.files.is_empty() && packed.annotations.is_empty() {
        return Err(Failure::new("neither file nor annotation provided in the command").usage(USAGE.line()).advise(
            "To attach to an existing artifact, please provide files via argument or annotations via flag \
             \"--annotation\". Run \"oras attach -h\" for more options and examples",
        ));
    }
    let options = AttachOptions {
        files: packed.files,
        config: pack::config(matches)?,
        artifact_type: Some(artifact_type).filter(|text| !text.is_empty()).map(Into::into),
        annotations: packed.annotations,
        config_annotations: packed.config_annotations,
        platform,
        concurrency: matches.count("concurrency", 0),
        directories: pack::directories(matches)?,
    };
    let export = pack::export_path(matches)?;
    let mut store = target.store().await?;
    let dry_run = matches.on("dry-run");
    if dry_run {
        store = oras::dry_run(store);
    }
    let listener = listener(PUSH.dry(dry_run), matches, &format, *printer);
    let attached =
        oras::attach(store, reference, options, listener).await.map_err(|error| target.failure(&error))?;

    match format {
        Format::Text => {
            let subject = attached.subject.digest.to_string();
            let raw = if target.raw.ends_with(&subject) {
                target.raw.clone()
            } else {
                format!("{}@{subject}", target.path)
            };
            printer.line(format!(
                "{} {}\nDigest: {}",
                if dry_run { "Dry run: would attach to" } else { "Attached to" },
                target.display_as(&raw),
                attached.root.digest
            ))?;
        }
        format => printer.report(&format, &report::Node::new(&target.path, &attached.root))?,
    }
    drop(packed.spooled);
    pack::export(export.as_deref(), &attached.manifest)
}
