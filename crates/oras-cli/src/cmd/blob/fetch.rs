//! `oras blob fetch`.

use std::path::Path;
use std::sync::Arc;

use clap::{ArgMatches, Command};
use futures::TryStreamExt;
use oras::fs::output_file;
use oras::remote::Mirrored;
use oras::spec::{Descriptor, MediaType};
use oras::store::{Content, Error, ErrorKind, ProgressUpdate, Pushed, Source};
use oras::{Event, Listener, Step, report};

use crate::args::{self, DescriptorArgs, FormatArgs, LocationArgs, TransferArgs, Usage, flags, values};
use crate::artifact_location::ArtifactLocation;
use crate::cmd::json_output::print_descriptor;
use crate::failure::Failure;
use crate::format::{self, Format};
use crate::print;
use crate::progress::Progress;
use crate::progress::words::PULL;

const USAGE: Usage =
    Usage { path: "oras blob fetch", tail: "[flags] {--output <file> | --descriptor} <name>@<digest>" };

flags::flags! {
    /// The arguments of `oras blob fetch`.
    struct FetchArgs {
        #[flatten] _transfer: TransferArgs,
        #[flatten] location: LocationArgs,
        #[flatten] format: FormatArgs,
        #[flatten] descriptor: DescriptorArgs,
        no_tty: bool = flags::no_tty(),
        _verbose: bool = flags::verbose(),
        debug: bool,
        output: Option<String> = flags::text("PATH", "Write to this file; - is standard output").short('o'),
        words: Vec<String> = flags::positional("<name>@<digest>", "Blob"),
    }
}

/// Creates the command.
pub(crate) fn command() -> Command {
    args::command(
        "fetch",
        "Fetch a blob",
        "Examples:\n  oras blob fetch -o file localhost:5000/hello@sha256:…",
    )
    .visible_alias("get")
    .args(FetchArgs::flags(""))
}

/// Runs the command.
pub(crate) async fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let args = FetchArgs::read(matches, "");
    USAGE.check(&args.words, 1, true, "the target blob to fetch")?;
    let output = values::non_empty(args.output.as_ref());
    let format = Format::read(&args.format, format::TEXT).await?;
    if output.is_none() && !args.descriptor.is_wanted() && format.is_for_people() {
        return Err(Failure::new("either `--output` or `--descriptor` must be provided"));
    }
    if output == Some("-") && args.descriptor.is_wanted() {
        return Err(Failure::new("`--output -` cannot be used with `--descriptor` at the same time"));
    }
    format.check_output(&args.format, args.output.as_deref())?;
    args.descriptor.exclude_format(&args.format)?;
    let target = ArtifactLocation::new(&args.location, "", &args.words[0])?;
    let source = target.cached_source().await?;
    let reference = target.require_reference(&USAGE, false)?;
    let node = match target.repository()? {
        // A mirror may have the blob, so the client queries the mirrors before the registry itself.
        Some(repository) => {
            let digest = parse_digest(reference).map_err(|failure| failure.hint(target.digest_hint()))?;
            let node = match Mirrored::new(&repository)? {
                Some(mirrored) => mirrored.resolve_blob(&digest).await,
                None => repository.resolve_blob(&digest).await,
            };
            node.map(|node| Descriptor::new(MediaType::OCTET_STREAM, node.digest, node.size))
        }
        // A layout stores manifests as blobs, too, and a tag may name one.
        None => source.resolve(reference).await,
    }
    .map_err(|error| target.failure(&error))?;
    let node = match output {
        None => node,
        Some(output) => Fetch { args: &args, target: &target }.to(source, node, output).await?,
    };
    match format {
        _ if args.descriptor.is_wanted() => print_descriptor(&node, args.descriptor.is_pretty()),
        Format::Text => Ok(()),
        format => format.report(&report::Node::new(&target.path, &node)).await,
    }
}

/// Fetches a blob to a file or to standard output.
struct Fetch<'a> {
    args: &'a FetchArgs,
    target: &'a ArtifactLocation,
}

impl Fetch<'_> {
    /// Writes the blob to `output`, a path or `-`, and returns its descriptor.
    ///
    /// A registry may report a wrong size in the HEAD response. The function then retries with the size of the GET
    /// response.
    async fn to(
        &self,
        source: Arc<dyn Source>,
        node: Descriptor,
        output: &str,
    ) -> Result<Descriptor, Failure> {
        let content = Content::from_source(Arc::clone(&source), node.clone());
        let mut has_printed = false;
        let written = self.write(content, output, &mut has_printed).await;
        let Err(failure) = written else { return Ok(node) };
        // Printed bytes cannot be undone, so a retry would print the start of the blob twice.
        if failure.kind == Some(ErrorKind::SizeMismatch)
            && !has_printed
            && let Some(repository) = self.target.repository()?
            && let Ok(measured) = repository.measure_blob(&node.digest).await
            && measured.size != node.size
        {
            let content = Content::from_source(source, measured.clone());
            self.write(content, output, &mut has_printed).await?;
            return Ok(measured);
        }
        Err(failure)
    }

    async fn write(&self, content: Content, output: &str, has_printed: &mut bool) -> Result<(), Failure> {
        let failed = |error: Error| self.target.failure(&error);
        if output != "-" {
            return self.save(content, Path::new(output)).await.map_err(failed);
        }
        let mut stream = content.reader().await.map_err(failed)?;
        while let Some(chunk) = stream.try_next().await.map_err(failed)? {
            *has_printed = true;
            print::bytes(&chunk)?;
        }
        Ok(())
    }

    /// Saves the blob as `path`. Shows progress only on a terminal. Like the Go tool, it prints no progress lines
    /// elsewhere.
    async fn save(&self, content: Content, path: &Path) -> Result<(), Error> {
        let node = content.descriptor().clone();
        let progress = Progress::of_blob(PULL, self.args.no_tty, self.args.debug);
        let listener = progress.listener();
        let moving = (progress.listener(), node.clone());
        let content = content.with_progress(Arc::new(move |update| {
            let (listener, node) = &moving;
            listener.step(Step::Node(match update {
                ProgressUpdate::Transferred(bytes) => Event::Progress(node, bytes),
                ProgressUpdate::Present(bytes) => Event::Present(node, bytes),
            }));
        }));
        listener.step(Step::Node(Event::Started(&node)));
        let saved = output_file::save(&content, path).await;
        if saved.is_ok() {
            listener.step(Step::Node(Event::Finished {
                node: &node,
                outcome: Pushed::Copied,
                children: &[],
            }));
        }
        progress.finish(saved)
    }
}

/// Parses the digest of a reference.
fn parse_digest(text: &str) -> Result<oras::spec::Digest, Failure> {
    text.parse()
        .map_err(|error| Failure::from(Error::new(ErrorKind::InvalidInput, format!("{text}: {error}"))))
}
