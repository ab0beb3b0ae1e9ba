//! `oras blob push`.

use std::path::Path;
use std::sync::Arc;

use clap::{ArgMatches, Command};
use oras::files::Collection;
use oras::report;
use oras::spec::{Descriptor, Digest, MediaType};
use oras::store::{ByteStream, Content, ErrorKind};

use crate::args::{self, DescriptorArgs, FormatArgs, LocationArgs, ProgressArgs, TransferArgs, Usage, flags};
use crate::artifact_location::ArtifactLocation;
use crate::cmd::file_io::check_stdin;
use crate::cmd::json_output::print_descriptor;
use crate::failure::Failure;
use crate::format::{self, Format};
use crate::print;
use crate::progress::{Progress, words::PUSH};

const USAGE: Usage = Usage { path: "oras blob push", tail: "[flags] <name>[@digest] <file>" };

flags::flags! {
    /// The arguments of `oras blob push`.
    struct PushArgs {
        #[flatten] _transfer: TransferArgs,
        #[flatten] location: LocationArgs,
        #[flatten] format: FormatArgs,
        #[flatten] descriptor: DescriptorArgs,
        #[flatten] progress: ProgressArgs,
        _verbose: bool = flags::verbose(),
        size: Option<i64> = flags::number("Size of the blob, required for standard input"),
        media_type: Option<String> = flags::text("TYPE", "Media type in the printed descriptor"),
        words: Vec<String> = flags::positional("<name>[@digest] <file>", "Repository, then a file or -"),
    }
}

/// Creates the command.
pub(crate) fn command() -> Command {
    args::command("push", "Push a blob", "Examples:\n  oras blob push localhost:5000/hello hi.txt")
        .args(PushArgs::flags(""))
}

/// Runs the command.
pub(crate) async fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let args = PushArgs::read(matches, "");
    let words = &args.words;
    USAGE.check(words, 2, true, "the destination to push to and the file to read blob content from")?;
    // A negative size counts as not given, as in the Go tool, whose default is -1.
    let size = args.size.filter(|size| *size >= 0);
    check_stdin(&args.location.registry.connection, &words[1])?;
    if words[1] == "-" && size.is_none() {
        return Err(Failure::new("`--size` must be provided if the blob is read from stdin"));
    }
    let format = Format::read(&args.format, format::TEXT).await?;
    args.descriptor.exclude_format(&args.format)?;
    let target = ArtifactLocation::new(&args.location, "", &words[0])?;
    let expected = match target.reference.as_str() {
        "" => None,
        text => Some(text.parse().map_err(|error| Failure::new(format!("invalid digest {text}: {error}")))?),
    };
    let media_type = args.media_type.as_deref().map_or(MediaType::LAYER_TAR, MediaType::new);
    let content = read_blob(&words[1], size, expected, media_type).await?;
    let node = content.descriptor().clone();
    let descriptor_only = args.descriptor.is_wanted();
    // The descriptor must be the only text on standard output.
    let progress =
        if descriptor_only { Progress::quiet(PUSH) } else { Progress::start(PUSH, &args.progress, &format) };
    let store = target.store().await?;
    let pushed = oras::push_blob(store, content, progress.listener()).await;
    target.explain(progress.finish(pushed))?;
    if descriptor_only {
        return print_descriptor(&node, args.descriptor.is_pretty());
    }
    match format {
        Format::Text => print::status(format!("Pushed: {}\nDigest: {}", target.display(), node.digest)),
        format => format.report(&report::Node::new(&target.path, &node)).await,
    }
}

/// Opens the blob: a file, which is hashed, or standard input, whose digest and size the caller gives.
async fn read_blob(
    path: &str,
    size: Option<i64>,
    expected: Option<Digest>,
    media_type: MediaType,
) -> Result<Content, Failure> {
    // Standard input can be read only once, so its digest can't be computed before the upload.
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
        return Err(Failure::new(format!("read {path}: is a directory")).of_kind(ErrorKind::Io));
    }
    // The file is hashed before the upload, so that its digest and size can be compared with those of the user.
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
        // The Go tool trusts the given digest; this tool checks it before the upload.
        return Err(Failure::new(format!("{path} has the digest {}, not {expected}", node.digest)));
    }
    Ok(Content::from_source(collection, node))
}

/// Streams standard input.
fn standard_input() -> ByteStream {
    match std::fs::File::open("/dev/stdin") {
        Ok(file) => oras::fs::read_to_end(file, "standard input".to_owned()),
        Err(error) => {
            let error = oras::store::Error::io("failed to open standard input", error);
            Box::pin(futures::stream::iter([Err(error)]))
        }
    }
}
