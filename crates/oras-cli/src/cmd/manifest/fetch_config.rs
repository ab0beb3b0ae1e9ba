//! `oras manifest fetch-config`.

use std::path::Path;

use clap::{ArgMatches, Command};
use futures::TryStreamExt;
use oras::report;
use oras::store::Kind;
use oras::store::outlet;

use crate::args;
use crate::args::flags::{self, Matches, exclusive};
use crate::cmd::{platform, print_descriptor, print_json};
use crate::error::Failure;
use crate::format::{self, Format};
use crate::output::Printer;
use crate::target::{Target, Usage};

const USAGE: Usage = Usage { path: "oras manifest fetch-config", tail: "[flags] <name>{:<tag>|@<digest>}" };

/// The largest config that is held in memory.
const MAX_CONFIG_SIZE: u64 = 4 * 1024 * 1024;

/// The command with its flags.
pub(crate) fn command() -> Command {
    args::command(
        "fetch-config",
        "Fetch the config of a manifest",
        concat!(
            "Examples:\n",
            "  oras manifest fetch-config --pretty localhost:5000/hello:v1\n",
            "  oras manifest fetch-config --platform linux/arm64 -o config.json \\\n    localhost:5000/hello:v1\n",
            "  oras manifest fetch-config --descriptor localhost:5000/hello:v1"
        ),
    )
    .visible_alias("get-config")
    .args(flags::common())
    .args(flags::remote(""))
    .args(flags::layout(""))
    .args(flags::format_too())
    .args(flags::descriptor())
    .args([
        flags::verbose(),
        flags::platform(),
        flags::text("output", "PATH", "Write to this file; - is standard output").short('o'),
        flags::positional("<name>{:<tag>|@<digest>}", "Manifest"),
    ])
}

/// Runs it.
pub(crate) async fn run(matches: &ArgMatches, printer: &Printer) -> Result<(), Failure> {
    let words = matches.words();
    USAGE.check(&words, 1, true, "the manifest config to fetch")?;
    let output = matches.text("output").filter(|output| !output.is_empty());
    if output.as_deref() == Some("-") && matches.on("descriptor") {
        return Err(Failure::new("`--output -` cannot be used with `--descriptor` at the same time"));
    }
    let format = Format::read(matches, format::TEXT, *printer)?;
    format.leaves_output(matches)?;
    exclusive(matches, "", &["format", "pretty"])?;
    exclusive(matches, "", &["format", "descriptor"])?;
    let platform = platform(matches, "platform")?;
    let target = Target::new(matches, "", &words[0], printer)?;
    let source = target.cached_source().await?;
    let reference = target.require_reference(&USAGE, true)?;
    let failed = |error: oras::store::Error| target.failure(&error);
    let config = oras::fetch_config(source, reference, platform.as_ref()).await.map_err(failed)?;
    match output.as_deref() {
        None if matches.on("descriptor") || !format.is_for_people() => {}
        Some("-") if !matches.on("pretty") => {
            let mut stream = config.reader().await.map_err(failed)?;
            while let Some(chunk) = stream.try_next().await.map_err(failed)? {
                printer.bytes(&chunk)?;
            }
        }
        None | Some("-") => {
            let bytes = config.bytes(MAX_CONFIG_SIZE).await.map_err(|error| {
                if error.kind() != Kind::TooLarge {
                    return failed(error);
                }
                let node = config.descriptor();
                let message = format!(
                    "config size {} exceeds the limit of {MAX_CONFIG_SIZE} bytes: size exceeds limit",
                    node.size
                );
                Failure::new(message).advise(format!(
                    "To download a large config, use \"oras blob fetch --output <file> <repository>@{}\"",
                    node.digest
                ))
            })?;
            print_json(matches, printer, &bytes)?;
        }
        Some(path) => {
            outlet::save(&config, Path::new(path)).await.map_err(failed)?;
        }
    }
    match format {
        _ if matches.on("descriptor") => print_descriptor(matches, printer, config.descriptor()),
        Format::Text => Ok(()),
        format => printer.report(&format, &report::Node::new(&target.path, config.descriptor())),
    }
}
