//! `oras manifest fetch`.

use std::path::Path;

use clap::{ArgMatches, Command};
use oras::fs::output_file;
use oras::spec::MediaType;
use oras::{fetch_manifest, report};

use crate::args::{self, DescriptorArgs, FormatArgs, LocationArgs, Usage, flags, values};
use crate::artifact_location::ArtifactLocation;
use crate::cmd::json_output::{print_descriptor, print_json};
use crate::failure::Failure;
use crate::format::{self, Format};

const USAGE: Usage = Usage { path: "oras manifest fetch", tail: "[flags] <name>{:<tag>|@<digest>}" };

flags::flags! {
    /// The arguments of `oras manifest fetch`.
    struct FetchArgs {
        #[flatten] location: LocationArgs,
        #[flatten] format: FormatArgs,
        #[flatten] descriptor: DescriptorArgs,
        _verbose: bool = flags::verbose(),
        platform: Option<String> = flags::platform(),
        media_type: Vec<String> =
            flags::list("TYPE", "Ask the registry for these types only").value_delimiter(','),
        output: Option<String> = flags::text("PATH", "Write to this file; - is standard output").short('o'),
        words: Vec<String> = flags::positional("<name>{:<tag>|@<digest>}", "Manifest"),
    }
}

/// Creates the command.
pub(crate) fn command() -> Command {
    args::command(
        "fetch",
        "Fetch a manifest",
        "Examples:\n  oras manifest fetch --pretty localhost:5000/hello:v1",
    )
    .visible_aliases(["get", "show"])
    .args(FetchArgs::flags(""))
}

/// Runs the command.
pub(crate) async fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let args = FetchArgs::read(matches, "");
    USAGE.check(&args.words, 1, true, "the manifest to fetch")?;
    let output = values::non_empty(args.output.as_ref());
    let format = Format::read(&args.format, format::TEXT).await?;
    format.check_output(&args.format, args.output.as_deref())?;
    if output == Some("-") && args.descriptor.is_wanted() {
        return Err(Failure::new("`--descriptor` cannot be used with `--output -` at the same time"));
    }
    args.descriptor.exclude_format(&args.format)?;
    let platform = values::platform(args.platform.as_ref())?;
    let mut target = ArtifactLocation::new(&args.location, "", &args.words[0])?;
    let types: Vec<_> = args.media_type.iter().map(|text| MediaType::new(text.as_str())).collect();
    let accepted = types.is_empty() || target.set_accepted_types(types);
    let source = target.cached_source().await?;
    let reference = target.require_reference(&USAGE, true)?;
    if !accepted {
        return Err(Failure::new("`--media-type` cannot be used with `--oci-layout` at the same time"));
    }
    if args.descriptor.is_wanted() && output.is_none() {
        let node = oras::resolve(source, reference, platform.as_ref())
            .await
            .map_err(|error| target.failure(&error.context(format!("failed to find {:?}", target.raw))))?;
        return print_descriptor(&node, args.descriptor.is_pretty());
    }
    let failed = |error: oras::store::Error| {
        target.failure(&error.context(format!("failed to fetch the content of {:?}", target.raw)))
    };
    let content = match &platform {
        // Without a platform, one request is enough. With a platform, the index must be read first.
        None => fetch_manifest(source, reference).await.map_err(failed)?,
        Some(_) => {
            let node = oras::resolve(source.clone(), reference, platform.as_ref()).await.map_err(failed)?;
            oras::store::Content::from_source(source, node)
        }
    };
    let bytes = content.bytes(target.max_manifest_size()).await.map_err(failed)?;
    if let Some(path) = output.filter(|path| *path != "-") {
        output_file::put(Path::new(path), &bytes)?;
    }
    let node = content.descriptor();
    match format {
        Format::Text if args.descriptor.is_wanted() => print_descriptor(node, args.descriptor.is_pretty()),
        Format::Text if output.is_some_and(|path| path != "-") => Ok(()),
        Format::Text => print_json(&bytes, args.descriptor.is_pretty()),
        format => {
            let node = report::Node::new(&target.path, node);
            // A manifest that is not JSON is reported as null.
            let content = serde_json::from_slice(&bytes).map_or(serde_json::Value::Null, sorted);
            format.report(&Fetched { node, content }).await
        }
    }
}

/// The report: the descriptor and the manifest.
#[derive(serde::Serialize)]
struct Fetched {
    #[serde(flatten)]
    node: report::Node,
    content: serde_json::Value,
}

/// Sorts the keys of every object, as the Go tool does.
fn sorted(value: serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::Object(object) => {
            let mut entries: Vec<_> = object.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            serde_json::Value::Object(entries.into_iter().collect())
        }
        serde_json::Value::Array(array) => serde_json::Value::Array(array.into_iter().map(sorted).collect()),
        other => other,
    }
}
