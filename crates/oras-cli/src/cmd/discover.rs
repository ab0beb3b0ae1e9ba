//! `oras discover`.

use std::io::IsTerminal;

use clap::{ArgMatches, Command};
use oras::spec::MediaType;
use oras::{DiscoverOptions, report};

use crate::args::{self, FormatArgs, LocationArgs, Usage, flags, values};
use crate::artifact_location::ArtifactLocation;
use crate::env;
use crate::failure::Failure;
use crate::format::{self, Format};
use crate::print;
use crate::referrer_table;
use crate::referrer_tree::{self, TreeStyle};

const USAGE: Usage = Usage { path: "oras discover", tail: "[flags] <name>{:<tag>|@<digest>}" };

flags::flags! {
    /// The arguments of `oras discover`.
    struct DiscoverArgs {
        #[flatten] location: LocationArgs,
        #[flatten] format: FormatArgs,
        no_tty: bool = flags::no_tty(),
        verbose: Option<bool> = flags::verbose(),
        platform: Option<String> = flags::platform(),
        _distribution_spec: Option<String> = flags::distribution_spec(),
        artifact_type: Option<String> = flags::text("TYPE", "Only referrers of this type"),
        output: Option<String> = flags::text("FORMAT", "Like --format").short('o').hide(true),
        depth: Option<i64> = flags::number("Levels of referrers to show [default: all]"),
        words: Vec<String> = flags::positional("<name>{:<tag>|@<digest>}", "Artifact"),
    }
}

/// Creates the command.
pub(crate) fn command() -> Command {
    args::command(
        "discover",
        "Show what refers to an artifact",
        concat!(
            "Examples:\n",
            "  oras discover localhost:5000/hello:v1\n",
            "  oras discover --format json --artifact-type a/sbom localhost:5000/hello:v1\n",
            "  oras discover --depth 1 localhost:5000/hello:v1\n",
            "  oras discover --oci-layout ./layout:v1"
        ),
    )
    .args(DiscoverArgs::flags(""))
}

/// Runs the command.
pub(crate) async fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let args = DiscoverArgs::read(matches, "");
    USAGE.check(&args.words, 1, true, "the target artifact to discover referrers from")?;
    flags::exclusive!("", args.format.format, args.output)?;
    if args.depth.is_some_and(|depth| depth < 1) {
        return Err(Failure::new("depth value should be at least 1"));
    }
    let target = ArtifactLocation::new(&args.location, "", &args.words[0])?;
    let format = match args.output.as_deref() {
        None => Format::read(&args.format, format::TREE).await?,
        Some(old) => {
            if old.starts_with("go-template=") {
                return Err(Failure::new("output type can only be tree, table or json"));
            }
            let format = Format::parse(old, &args.format, format::TREE).await?;
            print::error(&format!("[DEPRECATED] --output is deprecated, try `--format {old}` instead"));
            format
        }
    };
    let options = DiscoverOptions::default()
        .artifact_type(values::non_empty(args.artifact_type.as_ref()).map(MediaType::new))
        // The table shows only direct referrers, so requests for deeper levels would be wasted.
        .depth(if matches!(format, Format::Table) { 1 } else { values::count(args.depth, 0) })
        .platform(values::platform(args.platform.as_ref())?);
    let source = target.source().await?;
    let reference = target.require_reference(&USAGE, true)?;
    let root = target.explain(oras::discover(source, reference, &options).await)?;
    let annotations = args.verbose.unwrap_or(true);
    match format {
        Format::Table => print::text(&referrer_table::draw(&target.raw, &root, annotations)),
        Format::Text => {
            let is_terminal = std::io::stdout().is_terminal();
            let style =
                TreeStyle { is_terminal, has_colours: is_terminal && !args.no_tty && !env::no_color() };
            print::bytes(referrer_tree::draw(&target.path, &root, annotations, style).as_bytes())
        }
        format => format.report(&report::Discover::new(&target.path, &root)).await,
    }
}
