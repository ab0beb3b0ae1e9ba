//! `oras manifest push`.

use std::sync::Arc;

use clap::{ArgMatches, Command};
use oras::spec::MediaType;
use oras::store::Content;
use oras::{Listener, Names, Quiet, report};

use crate::args::{
    self, DescriptorArgs, FormatArgs, LocationArgs, Usage, check_tags, flags, split_tags, values,
};
use crate::artifact_location::ArtifactLocation;
use crate::cmd::file_io::{check_stdin, read_input};
use crate::cmd::json_output::print_descriptor;
use crate::failure::Failure;
use crate::format::{self, Format};
use crate::print;
use crate::progress::StatusLines;
use crate::progress::tag_lines::StoredLines;
use crate::progress::words::PUSH;

const USAGE: Usage =
    Usage { path: "oras manifest push", tail: "[flags] <name>[:<tag>[,<tag>][...]|@<digest>] <file>" };

flags::flags! {
    /// The arguments of `oras manifest push`.
    struct PushManifestArgs {
        #[flatten] location: LocationArgs,
        #[flatten] format: FormatArgs,
        #[flatten] descriptor: DescriptorArgs,
        _distribution_spec: Option<String> = flags::distribution_spec(),
        verbose: Option<bool> = flags::verbose(),
        media_type: Option<String> =
            flags::text("TYPE", "Media type of the manifest [default: what it says itself]"),
        concurrency: Option<i64> = flags::concurrency(),
        words: Vec<String> =
            flags::positional("<name>[:<tag>[,<tag>][...]|@<digest>] <file>", "Destination, then a file or -"),
    }
}

/// Creates the command.
pub(crate) fn command() -> Command {
    args::command(
        "push",
        "Push a manifest as it is",
        concat!(
            "Examples:\n",
            "  oras manifest push localhost:5000/hello:v1 manifest.json\n",
            "  oras manifest push localhost:5000/hello:v1,latest manifest.json\n",
            "  oras manifest fetch localhost:5000/hello:v1 | \\\n    oras manifest push localhost:5000/hello:v2 -\n",
            "  oras manifest push --media-type application/vnd.oci.image.manifest.v1+json \\\n    localhost:5000/hello m.json\n",
            "  oras manifest push --oci-layout ./layout:v1 manifest.json"
        ),
    )
    .args(PushManifestArgs::flags(""))
}

/// Runs the command.
pub(crate) async fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let args = PushManifestArgs::read(matches, "");
    let words = &args.words;
    USAGE.check(words, 2, true, "the destination to push to and the file to read manifest content from")?;
    let file = words[1].as_str();
    check_stdin(&args.location.registry.connection, file)?;
    let (raw, extra_tags) = split_tags(&words[0]);
    let format = Format::read(&args.format, format::TEXT).await?;
    args.descriptor.exclude_format(&args.format)?;
    let target = ArtifactLocation::new(&args.location, "", raw)?;
    check_tags(&extra_tags)?;
    let store = target.store().await?;
    let bytes = read_input(file)?;
    let media_type = match values::non_empty(args.media_type.as_ref()) {
        Some(media_type) => MediaType::new(media_type),
        None => media_type_of(&bytes, file)?,
    };
    let manifest = Content::of(media_type, bytes);
    let node = manifest.descriptor();
    let names = Names {
        extra_tags,
        concurrency: values::count(args.concurrency, 5).into(),
        ..Names::only(&target.reference)
    };
    // A descriptor or a report must be the only text on standard output.
    let quiet = args.descriptor.is_wanted() || !format.is_for_people();
    let verbose = args.verbose.unwrap_or(true);
    let lines: Arc<dyn Listener> =
        if quiet { Arc::new(Quiet) } else { Arc::new(StatusLines::new(PUSH, verbose)) };
    let stored = Some(format!("Pushed: {}", target.display())).filter(|_| !quiet);
    let listener = StoredLines { inner: lines, stored };
    target.explain(oras::push_manifest(store, &manifest, &names, Arc::new(listener)).await)?;
    if args.descriptor.is_wanted() {
        return print_descriptor(node, args.descriptor.is_pretty());
    }
    match format {
        Format::Text => print::status(format!("Digest: {}", node.digest)),
        format => {
            let digest = target.reference.parse::<oras::spec::Digest>().is_ok();
            let first = names.reference.filter(|_| !digest);
            let tags: Vec<_> = first.into_iter().chain(names.extra_tags).collect();
            format.report(&report::Push::new(&target.path, node, &tags)).await
        }
    }
}

/// Returns the `mediaType` of the manifest.
fn media_type_of(bytes: &[u8], file: &str) -> Result<MediaType, Failure> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Typed {
        media_type: Option<MediaType>,
    }
    // `null` is valid JSON, so it is reported as a manifest without a media type.
    let typed: Option<Typed> =
        serde_json::from_slice(bytes).map_err(|_| Failure::new("not a valid json file"))?;
    let media_type = typed.and_then(|typed| typed.media_type).filter(|text| !text.as_str().is_empty());
    media_type.ok_or_else(|| {
        let message = format!("media type is not specified via the flag \"--media-type\" nor in {file:?}");
        Failure::new(message)
            .usage(USAGE.line())
            .advise("Please specify a valid media type in the manifest JSON or via the \"--media-type\" flag")
    })
}
