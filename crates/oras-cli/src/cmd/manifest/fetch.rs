//! `oras manifest fetch`.

use std::path::Path;

use clap::{ArgMatches, Command};
use oras::spec::{MediaType, json};
use oras::store::outlet;
use oras::{fetch_manifest, report};

use crate::args;
use crate::args::flags::{self, Matches, exclusive};
use crate::cmd::{platform, print_json};
use crate::error::Failure;
use crate::format::{self, Format};
use crate::output::Printer;
use crate::target::{Target, Usage};

const USAGE: Usage = Usage { path: "oras manifest fetch", tail: "[flags] <name>{:<tag>|@<digest>}" };

/// The command with its flags.
pub(crate) fn command() -> Command {
    args::command(
        "fetch",
        "Fetch a manifest",
        "Examples:\n  oras manifest fetch --pretty localhost:5000/hello:v1",
    )
    .visible_aliases(["get", "show"])
    .args(flags::common())
    .args(flags::remote(""))
    .args(flags::layout(""))
    .args(flags::format())
    .args(flags::descriptor())
    .args([
        flags::verbose(),
        flags::platform(),
        flags::list("media-type", "TYPE", "Ask the registry for these types only").value_delimiter(','),
        flags::text("output", "PATH", "Write to this file; - is standard output").short('o'),
        flags::positional("<name>{:<tag>|@<digest>}", "Manifest"),
    ])
}

/// Runs it.
pub(crate) async fn run(matches: &ArgMatches, printer: &Printer) -> Result<(), Failure> {
    let words = matches.words();
    USAGE.check(&words, 1, true, "the manifest to fetch")?;
    let output = matches.text("output").filter(|output| !output.is_empty());
    let format = Format::read(matches, format::TEXT, *printer)?;
    format.leaves_output(matches)?;
    if output.as_deref() == Some("-") && matches.on("descriptor") {
        return Err(Failure::new("`--descriptor` cannot be used with `--output -` at the same time"));
    }
    exclusive(matches, "", &["format", "pretty"])?;
    exclusive(matches, "", &["format", "descriptor"])?;
    let platform = platform(matches, "platform")?;
    let mut target = Target::new(matches, "", &words[0], printer)?;
    let types: Vec<_> = matches.list("media-type").into_iter().map(MediaType::from).collect();
    let accepted = types.is_empty() || target.accept(types);
    let source = target.cached_source().await?;
    let reference = target.require_reference(&USAGE, true)?;
    if !accepted {
        return Err(Failure::new("`--media-type` cannot be used with `--oci-layout` at the same time"));
    }
    if matches.on("descriptor") && output.is_none() {
        let node = oras::resolve(source, reference, platform.as_ref())
            .await
            .map_err(|error| target.failure(&error.context(format!("failed to find {:?}", target.raw))))?;
        let bytes = if matches.on("pretty") { json::to_vec_pretty(&node) } else { json::to_vec(&node) };
        return printer.text(&finish(bytes, matches.on("pretty")));
    }
    let failed = |error: oras::store::Error| {
        target.failure(&error.context(format!("failed to fetch the content of {:?}", target.raw)))
    };
    let content = match &platform {
        None => fetch_manifest(source, reference).await.map_err(failed)?,
        Some(_) => {
            let node = oras::resolve(source.clone(), reference, platform.as_ref()).await.map_err(failed)?;
            oras::store::Content::from_source(source, node)
        }
    };
    let bytes = content.bytes(target.max_manifest_size()).await.map_err(failed)?;
    if let Some(path) = output.as_deref().filter(|path| *path != "-") {
        outlet::put(Path::new(path), &bytes)?;
    }
    let node = content.descriptor();
    match format {
        Format::Text if matches.on("descriptor") => {
            let bytes = if matches.on("pretty") { json::to_vec_pretty(node) } else { json::to_vec(node) };
            printer.text(&finish(bytes, matches.on("pretty")))
        }
        Format::Text if output.is_some() && output.as_deref() != Some("-") => Ok(()),
        Format::Text => print_json(matches, printer, &bytes),
        format => {
            let node = report::Node::new(&target.path, node);
            let content = serde_json::from_slice(&bytes).map_or(serde_json::Value::Null, sorted);
            printer.report(&format, &Fetched { node, content })
        }
    }
}

fn finish(mut bytes: Vec<u8>, pretty: bool) -> Vec<u8> {
    if pretty {
        bytes.push(b'\n');
    }
    bytes
}

#[derive(serde::Serialize)]
struct Fetched {
    #[serde(flatten)]
    node: report::Node,
    content: serde_json::Value,
}

/// The same value with the keys of every object sorted, as the Go tool prints it.
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
