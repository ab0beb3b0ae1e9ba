//! `oras manifest push`.

use std::sync::Arc;

use clap::{ArgMatches, Command};
use oras::spec::MediaType;
use oras::store::Content;
use oras::{Names, report};

use crate::args;
use crate::args::flags::{self, Matches, exclusive};
use crate::cmd::{check_stdin, print_descriptor, read_input};
use crate::error::Failure;
use crate::format::{self, Format};
use crate::output::Printer;
use crate::status::{self, Look, PUSH, Told};
use crate::target::{Target, Usage, check_tags, split_tags};

const USAGE: Usage =
    Usage { path: "oras manifest push", tail: "[flags] <name>[:<tag>[,<tag>][...]|@<digest>] <file>" };

/// The command with its flags.
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
    .args(flags::common())
    .args(flags::remote(""))
    .args(flags::layout(""))
    .args(flags::format_too())
    .args(flags::descriptor())
    .args([
        flags::distribution_spec(""),
        flags::verbose(),
        flags::text("media-type", "TYPE", "Media type of the manifest [default: what it says itself]"),
        flags::concurrency(),
        flags::positional("<name>[:<tag>[,<tag>][...]|@<digest>] <file>", "Destination, then a file or -"),
    ])
}

/// Runs it.
pub(crate) async fn run(matches: &ArgMatches, printer: &Printer) -> Result<(), Failure> {
    let words = matches.words();
    USAGE.check(&words, 2, true, "the destination to push to and the file to read manifest content from")?;
    let file = words[1].as_str();
    check_stdin(matches, file)?;
    let (raw, extra_tags) = split_tags(&words[0])?;
    let format = Format::read(matches, format::TEXT, *printer)?;
    exclusive(matches, "", &["format", "pretty"])?;
    exclusive(matches, "", &["format", "descriptor"])?;
    let target = Target::new(matches, "", raw, printer)?;
    check_tags(&extra_tags)?;
    let store = target.store().await?;
    let bytes = read_input(file)?;
    let media_type = match matches.text("media-type").filter(|text| !text.is_empty()) {
        Some(media_type) => media_type.into(),
        None => media_type_of(&bytes, file)?,
    };
    let manifest = Content::of(media_type, bytes);
    let node = manifest.descriptor();
    let names =
        Names { extra_tags, concurrency: matches.count("concurrency", 5), ..Names::only(&target.reference) };
    let quiet = matches.on("descriptor") || !format.is_for_people();
    let verbose = matches.switch("verbose").unwrap_or(true);
    let look = if quiet { Look::Quiet } else { Look::Lines { verbose } };
    let stored = Some(format!("Pushed: {}", target.display())).filter(|_| !quiet);
    let listener = Told { inner: status::listener(PUSH, look, *printer), printer: *printer, stored };
    oras::push_manifest(store, &manifest, &names, Arc::new(listener))
        .await
        .map_err(|error| target.failure(&error))?;
    if matches.on("descriptor") {
        return print_descriptor(matches, printer, node);
    }
    match format {
        Format::Text => printer.line(format!("Digest: {}", node.digest)),
        format => {
            let digest = target.reference.parse::<oras::spec::Digest>().is_ok();
            let first = names.reference.filter(|_| !digest);
            let tags: Vec<_> = first.into_iter().chain(names.extra_tags).collect();
            printer.report(&format, &report::Push::new(&target.path, node, &tags))
        }
    }
}

/// The media type that the manifest says it has.
fn media_type_of(bytes: &[u8], file: &str) -> Result<MediaType, Failure> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Typed {
        media_type: Option<MediaType>,
    }
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
