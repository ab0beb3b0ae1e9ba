//! `oras discover`.

use std::io::IsTerminal;

use clap::{ArgMatches, Command};
use oras::{DiscoverOptions, report};

use super::platform;
use crate::args;
use crate::args::flags::{self, Matches, exclusive};
use crate::env;
use crate::error::Failure;
use crate::format::{self, Format};
use crate::output::Printer;
use crate::table;
use crate::target::{Target, Usage};
use crate::tree::{self, Paint};

const USAGE: Usage = Usage { path: "oras discover", tail: "[flags] <name>{:<tag>|@<digest>}" };

/// The command with its flags.
pub(crate) fn command() -> Command {
    args::command(
        "discover",
        "Show what refers to an artifact",
        concat!(
            "Examples:\n",
            "  oras discover localhost:5000/hello:v1\n",
            "  oras discover --format json --artifact-type a/sbom localhost:5000/hello:v1"
        ),
    )
    .args(flags::common())
    .args(flags::remote(""))
    .args(flags::layout(""))
    .args(flags::format())
    .args([
        flags::no_tty(),
        flags::verbose(),
        flags::platform(),
        flags::distribution_spec(""),
        flags::text("artifact-type", "TYPE", "Only referrers of this type"),
        flags::text("output", "FORMAT", "Like --format").short('o').hide(true),
        flags::number("depth", "Levels of referrers to show [default: all]"),
        flags::positional("<name>{:<tag>|@<digest>}", "Artifact"),
    ])
}

/// Runs it.
pub(crate) async fn run(matches: &ArgMatches, printer: &Printer) -> Result<(), Failure> {
    let words = matches.words();
    USAGE.check(&words, 1, true, "the target artifact to discover referrers from")?;
    exclusive(matches, "", &["format", "output"])?;
    if matches.given("depth") && matches.count("depth", 0) < 1 {
        return Err(Failure::new("depth value should be at least 1"));
    }
    let target = Target::new(matches, "", &words[0], printer)?;
    let format = match matches.text("output") {
        None => Format::read(matches, format::TREE, *printer)?,
        Some(old) => {
            if old.starts_with("go-template=") {
                return Err(Failure::new("output type can only be tree, table or json"));
            }
            let format = Format::parse(&old, matches, format::TREE, *printer)?;
            printer.error(&format!("[DEPRECATED] --output is deprecated, try `--format {old}` instead"));
            format
        }
    };
    let options = DiscoverOptions {
        artifact_type: matches.text("artifact-type").filter(|text| !text.is_empty()).map(Into::into),
        depth: if matches!(format, Format::Table) { 1 } else { matches.count("depth", 0) },
        platform: platform(matches, "platform")?,
    };
    let source = target.source().await?;
    let reference = target.require_reference(&USAGE, true)?;
    let root = oras::discover(source, reference, &options).await.map_err(|error| target.failure(&error))?;
    let annotations = matches.switch("verbose").unwrap_or(true);
    match format {
        Format::Table => printer.text(&table::draw(&target.raw, &root, annotations)),
        Format::Text => {
            let terminal = std::io::stdout().is_terminal();
            let paint = Paint { terminal, colours: terminal && !matches.on("no-tty") && !env::no_color() };
            printer.bytes(tree::draw(&target.path, &root, annotations, paint).as_bytes())
        }
        format => printer.report(&format, &report::Discover::new(&target.path, &root)),
    }
}
