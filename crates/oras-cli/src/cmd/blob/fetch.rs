//! `oras blob fetch`.

use std::path::Path;
use std::sync::Arc;

use clap::{ArgMatches, Command};
use futures::TryStreamExt;
use oras::remote::Mirrored;
use oras::spec::{Descriptor, MediaType};
use oras::store::{Content, Error, Kind, Pushed, Source, outlet};
use oras::{Event, Listener, Quiet, Step, report};

use crate::args;
use crate::args::flags::{self, Matches, exclusive};
use crate::cmd::{is_watched, print_descriptor};
use crate::env;
use crate::error::Failure;
use crate::format::{self, Format};
use crate::output::Printer;
use crate::periodic::Periodic;
use crate::status::{self, Look, PULL};
use crate::target::{Target, Usage, parse_digest};

const USAGE: Usage =
    Usage { path: "oras blob fetch", tail: "[flags] {--output <file> | --descriptor} <name>@<digest>" };

/// The command with its flags.
pub(crate) fn command() -> Command {
    args::command(
        "fetch",
        "Fetch a blob",
        "Examples:\n  oras blob fetch -o file localhost:5000/hello@sha256:…",
    )
    .visible_alias("get")
    .args(flags::common())
    .args(flags::remote(""))
    .args(flags::layout(""))
    .args(flags::format_too())
    .args(flags::descriptor())
    .args([
        flags::no_tty(),
        flags::verbose(),
        flags::text("output", "PATH", "Write to this file; - is standard output").short('o'),
        flags::positional("<name>@<digest>", "Blob"),
    ])
}

/// Runs it.
pub(crate) async fn run(matches: &ArgMatches, printer: &Printer) -> Result<(), Failure> {
    let words = matches.words();
    USAGE.check(&words, 1, true, "the target blob to fetch")?;
    let output = matches.text("output").filter(|output| !output.is_empty());
    let format = Format::read(matches, format::TEXT, *printer)?;
    if output.is_none() && !matches.on("descriptor") && format.is_for_people() {
        return Err(Failure::new("either `--output` or `--descriptor` must be provided"));
    }
    if output.as_deref() == Some("-") && matches.on("descriptor") {
        return Err(Failure::new("`--output -` cannot be used with `--descriptor` at the same time"));
    }
    format.leaves_output(matches)?;
    exclusive(matches, "", &["format", "pretty"])?;
    exclusive(matches, "", &["format", "descriptor"])?;
    let target = Target::new(matches, "", &words[0], printer)?;
    let source = target.cached_source().await?;
    let reference = target.require_reference(&USAGE, false)?;
    let node = match target.repository()? {
        Some(repository) => {
            let digest = parse_digest(reference)?;
            let node = match Mirrored::new(&repository)? {
                Some(mirrored) => mirrored.resolve_blob(&digest).await,
                None => repository.resolve_blob(&digest).await,
            };
            node.map(|node| Descriptor::new(MediaType::OCTET_STREAM, node.digest, node.size))
        }
        // In a layout manifests are blobs, and tags name them.
        None => source.resolve(reference).await,
    }
    .map_err(|error| target.failure(&error))?;
    let node = match output.as_deref() {
        None => node,
        Some(output) => fetch(&target, source, node, output, matches, printer).await?,
    };
    match format {
        _ if matches.on("descriptor") => print_descriptor(matches, printer, &node),
        Format::Text => Ok(()),
        format => printer.report(&format, &report::Node::new(&target.path, &node)),
    }
}

/// Writes the blob to `output`, a path or `-`. Returns its descriptor.
///
/// A registry may claim a wrong size in the answer to HEAD. The size of the GET counts then.
async fn fetch(
    target: &Target,
    source: Arc<dyn Source>,
    node: Descriptor,
    output: &str,
    matches: &ArgMatches,
    printer: &Printer,
) -> Result<Descriptor, Failure> {
    let content = Content::from_source(Arc::clone(&source), node.clone());
    let mut has_printed = false;
    let delivered = deliver(target, content, output, matches, printer, &mut has_printed).await;
    let Err(failure) = delivered else { return Ok(node) };
    if failure.kind == Some(Kind::SizeMismatch)
        && !has_printed
        && let Some(repository) = target.repository()?
        && let Ok(measured) = repository.measure_blob(&node.digest).await
        && measured.size != node.size
    {
        let content = Content::from_source(source, measured.clone());
        deliver(target, content, output, matches, printer, &mut has_printed).await?;
        return Ok(measured);
    }
    Err(failure)
}

async fn deliver(
    target: &Target,
    content: Content,
    output: &str,
    matches: &ArgMatches,
    printer: &Printer,
    has_printed: &mut bool,
) -> Result<(), Failure> {
    let failed = |error: Error| target.failure(&error);
    if output != "-" {
        return save(content, Path::new(output), matches, printer).await.map_err(failed);
    }
    let mut stream = content.reader().await.map_err(failed)?;
    while let Some(chunk) = stream.try_next().await.map_err(failed)? {
        *has_printed = true;
        printer.bytes(&chunk)?;
    }
    Ok(())
}

/// Writes the blob to `path`, and shows progress to a person who watches: a log gets no lines, as from the Go tool.
async fn save(content: Content, path: &Path, matches: &ArgMatches, printer: &Printer) -> Result<(), Error> {
    let node = content.descriptor().clone();
    let plain = is_watched(matches) && env::is_terminal_dumb();
    let shown: Arc<dyn Listener> = match is_watched(matches) {
        false => Arc::new(Quiet),
        true if plain => Arc::new(Periodic::new(PULL, *printer)),
        true => status::listener(PULL, Look::Bars, *printer),
    };
    if plain {
        printer.error(&format!("{} {}", PULL.started, node.digest));
    }
    let (told, moving) = (Arc::clone(&shown), node.clone());
    let content =
        content.with_progress(Arc::new(move |bytes| told.step(Step::Node(Event::Progress(&moving, bytes)))));
    shown.step(Step::Node(Event::Started(&node)));
    outlet::save(&content, path).await?;
    shown.step(Step::Node(Event::Finished { node: &node, outcome: Pushed::Copied, children: &[] }));
    if plain {
        printer.error(&format!("{} {}", PULL.finished.trim_end(), node.digest));
    }
    Ok(())
}
