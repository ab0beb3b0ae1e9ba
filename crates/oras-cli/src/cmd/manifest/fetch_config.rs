//! `oras manifest fetch-config`.

use std::path::Path;

use clap::{ArgMatches, Command};
use futures::TryStreamExt;
use oras::fs::output_file;
use oras::report;
use oras::store::ErrorKind;

use crate::args::{self, DescriptorArgs, FormatArgs, LocationArgs, Usage, flags, values};
use crate::artifact_location::ArtifactLocation;
use crate::cmd::json_output::{print_descriptor, print_json};
use crate::failure::Failure;
use crate::format::{self, Format};
use crate::print;

const USAGE: Usage = Usage { path: "oras manifest fetch-config", tail: "[flags] <name>{:<tag>|@<digest>}" };

/// The size limit of a config in memory. A larger config can still be streamed or saved to a file.
const MAX_CONFIG_SIZE: u64 = 4 * 1024 * 1024;

flags::flags! {
    /// The arguments of `oras manifest fetch-config`.
    struct FetchConfigArgs {
        #[flatten] location: LocationArgs,
        #[flatten] format: FormatArgs,
        #[flatten] descriptor: DescriptorArgs,
        _verbose: bool = flags::verbose(),
        platform: Option<String> = flags::platform(),
        output: Option<String> = flags::text("PATH", "Write to this file; - is standard output").short('o'),
        words: Vec<String> = flags::positional("<name>{:<tag>|@<digest>}", "Manifest"),
    }
}

/// Creates the command.
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
    .args(FetchConfigArgs::flags(""))
}

/// Runs the command.
pub(crate) async fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let args = FetchConfigArgs::read(matches, "");
    USAGE.check(&args.words, 1, true, "the manifest config to fetch")?;
    let output = values::non_empty(args.output.as_ref());
    if output == Some("-") && args.descriptor.is_wanted() {
        return Err(Failure::new("`--output -` cannot be used with `--descriptor` at the same time"));
    }
    let format = Format::read(&args.format, format::TEXT).await?;
    format.check_output(&args.format, args.output.as_deref())?;
    args.descriptor.exclude_format(&args.format)?;
    let platform = values::platform(args.platform.as_ref())?;
    let target = ArtifactLocation::new(&args.location, "", &args.words[0])?;
    let source = target.cached_source().await?;
    let reference = target.require_reference(&USAGE, true)?;
    let failed = |error: oras::store::Error| target.failure(&error);
    let config = oras::fetch_config(source, reference, platform.as_ref()).await.map_err(failed)?;
    match output {
        // The descriptor or the report is the only output, so the content is not fetched.
        None if args.descriptor.is_wanted() || !format.is_for_people() => {}
        // Without indentation the config is streamed, so its size has no limit.
        Some("-") if !args.descriptor.is_pretty() => {
            let mut stream = config.reader().await.map_err(failed)?;
            while let Some(chunk) = stream.try_next().await.map_err(failed)? {
                print::bytes(&chunk)?;
            }
        }
        None | Some("-") => {
            let bytes = config.bytes(MAX_CONFIG_SIZE).await.map_err(|error| {
                if error.kind() != ErrorKind::TooLarge {
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
            print_json(&bytes, args.descriptor.is_pretty())?;
        }
        Some(path) => {
            output_file::save(&config, Path::new(path)).await.map_err(failed)?;
        }
    }
    match format {
        _ if args.descriptor.is_wanted() => {
            print_descriptor(config.descriptor(), args.descriptor.is_pretty())
        }
        Format::Text => Ok(()),
        format => format.report(&report::Node::new(&target.path, config.descriptor())).await,
    }
}
