//! `oras blob push`.

use std::path::Path;
use std::sync::Arc;

use clap::{ArgMatches, Command};
use oras::files::Collection;
use oras::spec::{Descriptor, Digest, MediaType};
use oras::store::fsio;
use oras::store::{ByteStream, Content, Kind};
use oras::{GraphCopy, Listener, Observer, Step, report};

use crate::args;
use crate::args::flags::{self, Matches, exclusive};
use crate::cmd::{check_stdin, listener, print_descriptor};
use crate::error::Failure;
use crate::format::{self, Format};
use crate::output::Printer;
use crate::status::{self, Look, PUSH};
use crate::target::{Target, Usage};

const USAGE: Usage = Usage { path: "oras blob push", tail: "[flags] <name>[@digest] <file>" };

/// The command with its flags.
pub(crate) fn command() -> Command {
    args::command("push", "Push a blob", "Examples:\n  oras blob push localhost:5000/hello hi.txt")
        .args(flags::common())
        .args(flags::remote(""))
        .args(flags::layout(""))
        .args(flags::format_too())
        .args(flags::descriptor())
        .args([
            flags::no_tty(),
            flags::progress(),
            flags::verbose(),
            flags::number("size", "Size of the blob, required for standard input"),
            flags::text("media-type", "TYPE", "Media type in the printed descriptor"),
            flags::positional("<name>[@digest] <file>", "Repository, then a file or -"),
        ])
}

/// Runs it.
pub(crate) async fn run(matches: &ArgMatches, printer: &Printer) -> Result<(), Failure> {
    let words = matches.words();
    USAGE.check(&words, 2, true, "the destination to push to and the file to read blob content from")?;
    let size = matches.try_get_one::<i64>("size").ok().flatten().copied().filter(|size| *size >= 0);
    check_stdin(matches, &words[1])?;
    if words[1] == "-" && size.is_none() {
        return Err(Failure::new("`--size` must be provided if the blob is read from stdin"));
    }
    let format = Format::read(matches, format::TEXT, *printer)?;
    exclusive(matches, "", &["format", "pretty"])?;
    exclusive(matches, "", &["format", "descriptor"])?;
    let target = Target::new(matches, "", &words[0], printer)?;
    let expected = match target.reference.as_str() {
        "" => None,
        text => Some(text.parse().map_err(|error| Failure::new(format!("invalid digest {text}: {error}")))?),
    };
    let media_type =
        MediaType::from(matches.text("media-type").unwrap_or_else(|| MediaType::LAYER_TAR.to_string()));
    let content = read_blob(&words[1], size, expected, media_type).await?;
    let node = content.descriptor().clone();
    let descriptor_only = matches.on("descriptor");
    let listener = if descriptor_only {
        status::listener(PUSH, Look::Quiet, *printer)
    } else {
        listener(PUSH, matches, &format, *printer)
    };
    let store = target.store().await?;
    let source = Arc::new(Collection::new());
    GraphCopy::new(source, store)
        .observer(Arc::new(Nodes(listener)))
        .run(vec![content], None)
        .await
        .map_err(|error| target.failure(&error))?;
    if descriptor_only {
        return print_descriptor(matches, printer, &node);
    }
    match format {
        Format::Text => printer.line(format!("Pushed: {}\nDigest: {}", target.display(), node.digest)),
        format => printer.report(&format, &report::Node::new(&target.path, &node)),
    }
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
    if path.is_empty() {
        return Err(Failure::new("failed to open the blob: the path is empty"));
    }
    let failed =
        |error: std::io::Error| Failure::of_io(format!("failed to open {path}: open {path}"), &error);
    if std::fs::metadata(path).map_err(failed)?.is_dir() {
        return Err(Failure::new(format!("read {path}: is a directory")).of_kind(Kind::Io));
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
