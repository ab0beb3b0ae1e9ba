//! `oras attach`.

use clap::ArgMatches;
use oras::{AttachOptions, report};

use super::{Format, format, look, pack, platform};
use crate::args::flags::Matches;
use crate::error::Failure;
use crate::output::Printer;
use crate::status::{self, PUSH};
use crate::target::{Target, Usage, exclusive};

const USAGE: Usage = Usage {
    path: "oras attach",
    tail: "[flags] --artifact-type=<type> <name>{:<tag>|@<digest>} \
           {<file>[:<layer_media_type>]|--annotation <key>=<value>} [...]",
};

pub(crate) async fn run(matches: &ArgMatches, printer: &Printer) -> Result<(), Failure> {
    let words = matches.words();
    USAGE.check(&words, 1, false, "the destination artifact for attaching.")?;
    let packed = pack::read(matches, &words[1..])?;
    let target = Target::new(matches, "", &words[0], printer).map_err(|failure| match &failure.advice {
        Some(advice) if words.len() == 1 && failure.message.contains("invalid reference") => {
            let advice = format!("Are you missing an artifact reference to attach to? {advice}");
            failure.advise(advice)
        }
        _ => failure,
    })?;
    let format = format(matches, "json, go-template, text")?;
    let platform = platform(matches, "platform")?;
    exclusive(matches, "", &["config", "platform"])?;
    let reference = target.require_reference(&USAGE, true)?;
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
        concurrency: matches.count("concurrency", 5),
    };
    let store = target.store().await?;
    let listener = status::listener(PUSH, look(matches, format), *printer);
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
                "Attached to {}\nDigest: {}",
                target.display_as(&raw),
                attached.root.digest
            ))?;
        }
        Format::Json => printer.json(&report::Node::new(&target.path, &attached.root))?,
    }
    pack::export(matches, &attached.manifest)
}
