//! `oras blob fetch` and `oras blob push`.

use std::path::Path;
use std::sync::Arc;

use clap::ArgMatches;
use futures::TryStreamExt;
use oras::files::Collection;
use oras::spec::{Descriptor, Digest, MediaType, json};
use oras::store::fsio::{self, Durability};
use oras::store::{ByteStream, Content, Source};
use oras::{GraphCopy, Listener, Observer, Step};

use super::{Format, look};
use crate::args::flags::Matches;
use crate::error::Failure;
use crate::output::Printer;
use crate::status::{self, Look, PUSH};
use crate::target::{Target, Usage, parse_digest};

const FETCH: Usage =
    Usage { path: "oras blob fetch", tail: "[flags] {--output <file> | --descriptor} <name>@<digest>" };
const PUSH_USAGE: Usage = Usage { path: "oras blob push", tail: "[flags] <name>[@digest] <file>" };

pub(crate) async fn fetch(matches: &ArgMatches, printer: &Printer) -> Result<(), Failure> {
    let words = matches.words();
    FETCH.check(&words, 1, true, "the target blob to fetch")?;
    let output = matches.text("output").filter(|output| !output.is_empty());
    if output.is_none() && !matches.on("descriptor") {
        return Err(Failure::new("either `--output` or `--descriptor` must be provided"));
    }
    if output.as_deref() == Some("-") && matches.on("descriptor") {
        return Err(Failure::new("`--output -` cannot be used with `--descriptor` at the same time"));
    }
    let target = Target::new(matches, "", &words[0], printer)?;
    let source = target.source().await?;
    let digest = parse_digest(target.require_reference(&FETCH, false)?)?;
    let node = match target.repository()? {
        Some(repository) => repository.resolve_blob(&digest).await,
        None => source.resolve(&digest.to_string()).await,
    }
    .map_err(|error| target.failure(&error))?;
    let node = Descriptor::new(MediaType::OCTET_STREAM, node.digest, node.size);
    let content = Content::from_source(source as Arc<dyn Source>, node.clone());
    match output.as_deref() {
        None => {}
        Some("-") => {
            let mut stream = content.reader().await.map_err(|error| target.failure(&error))?;
            while let Some(chunk) = stream.try_next().await.map_err(|error| target.failure(&error))? {
                printer.bytes(&chunk)?;
            }
        }
        Some(path) => {
            // Verified under a temporary name first: a file of that name is replaced by good content only.
            let path = Path::new(path);
            let directory =
                path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let staged = fsio::stage(&content, directory, Durability::Relaxed)
                .await
                .map_err(|error| target.failure(&error))?;
            staged.publish(path)?;
        }
    }
    if matches.on("descriptor") { print(matches, printer, &node) } else { Ok(()) }
}

fn print(matches: &ArgMatches, printer: &Printer, node: &Descriptor) -> Result<(), Failure> {
    if matches.on("pretty") { printer.json(node) } else { printer.bytes(&json::to_vec(node)) }
}

pub(crate) async fn push(matches: &ArgMatches, printer: &Printer) -> Result<(), Failure> {
    let words = matches.words();
    PUSH_USAGE.check(&words, 2, true, "the destination to push to and the file to read blob content from")?;
    let size = matches.try_get_one::<i64>("size").ok().flatten().copied().filter(|size| *size >= 0);
    if words[1] == "-" {
        if matches.on("password-stdin") || matches.on("identity-token-stdin") {
            let flag = if matches.on("password-stdin") { "password" } else { "identity-token" };
            let what = if flag == "password" { "password" } else { "identity token" };
            return Err(Failure::new(format!(
                "`-` read file from input and `--{flag}-stdin` read {what} from input cannot be both used"
            )));
        }
        if size.is_none() {
            return Err(Failure::new("`--size` must be provided if the blob is read from stdin"));
        }
    }
    let target = Target::new(matches, "", &words[0], printer)?;
    let expected = match target.reference.as_str() {
        "" => None,
        text => Some(parse_digest(text)?),
    };
    let media_type =
        MediaType::from(matches.text("media-type").unwrap_or_else(|| MediaType::LAYER_TAR.to_string()));
    let content = read_blob(&words[1], size, expected, media_type).await?;
    let node = content.descriptor().clone();
    let descriptor_only = matches.on("descriptor");
    let look = if descriptor_only { Look::Quiet } else { look(matches, Format::Text) };
    let listener = status::listener(PUSH, look, *printer);
    let store = target.store().await?;
    let source = Arc::new(Collection::new());
    GraphCopy::new(source, store)
        .observer(Arc::new(Nodes(listener)))
        .run(vec![content], None)
        .await
        .map_err(|error| target.failure(&error))?;
    if descriptor_only {
        return print(matches, printer, &node);
    }
    printer.line(format!("Pushed: {}\nDigest: {}", target.display_as(&target.path), node.digest))
}

/// The blob in a file, hashed, or on standard input, whose digest and size the caller gives.
async fn read_blob(
    path: &str,
    size: Option<i64>,
    expected: Option<Digest>,
    media_type: MediaType,
) -> Result<Content, Failure> {
    if path == "-" {
        let digest = expected
            .ok_or_else(|| Failure::new("content digest must be provided if it is read from stdin"))?;
        let size = u64::try_from(size.unwrap_or_default()).unwrap_or_default();
        return Ok(Content::once(Descriptor::new(media_type, digest, size), standard_input()));
    }
    let failed = |error: std::io::Error| {
        let cause = match error.kind() {
            std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
            _ => error.to_string(),
        };
        Failure::new(format!("failed to open {path}: open {path}: {cause}"))
    };
    if std::fs::metadata(path).map_err(failed)?.is_dir() {
        return Err(Failure::new(format!("read {path}: is a directory")));
    }
    let collection = Arc::new(Collection::new());
    let mut node = collection.add(path, Path::new(path), Some(media_type.clone())).await?;
    node = Descriptor::new(media_type, node.digest, node.size);
    if let Some(size) = size.filter(|size| u64::try_from(*size) != Ok(node.size)) {
        return Err(Failure::new(format!(
            "input size {size} does not match the actual content size {}",
            node.size
        )));
    }
    if let Some(expected) = expected.filter(|expected| *expected != node.digest) {
        // Go trusts the digest it is given; ours is checked before anything is sent.
        return Err(Failure::new(format!("{path} has the digest {}, not {expected}", node.digest)));
    }
    Ok(Content::from_source(collection, node))
}

fn standard_input() -> ByteStream {
    match std::fs::File::open("/dev/stdin") {
        Ok(file) => fsio::read_to_end(file, "standard input".to_owned()),
        Err(error) => {
            let error = oras::store::Error::io("failed to open standard input", error);
            Box::pin(futures::stream::iter([Err(error)]))
        }
    }
}

struct Nodes(Arc<dyn Listener>);

impl Observer for Nodes {
    fn event(&self, event: oras::Event<'_>) {
        self.0.step(Step::Node(event));
    }
}
