//! `oras discover`.

use std::io::IsTerminal;

use clap::ArgMatches;
use oras::{DiscoverOptions, report};

use super::{Format, format, platform};
use crate::args::flags::Matches;
use crate::env;
use crate::error::Failure;
use crate::output::Printer;
use crate::target::{Target, Usage};
use crate::tree::{self, Paint};

const USAGE: Usage = Usage { path: "oras discover", tail: "[flags] <name>{:<tag>|@<digest>}" };

pub(crate) async fn run(matches: &ArgMatches, printer: &Printer) -> Result<(), Failure> {
    let words = matches.words();
    USAGE.check(&words, 1, true, "the target artifact to discover referrers from")?;
    if matches.given("depth") && matches.count("depth", 0) < 1 {
        return Err(Failure::new("depth value should be at least 1"));
    }
    let target = Target::new(matches, "", &words[0], printer)?;
    let format = format(matches, "table, json, go-template, tree")?;
    let options = DiscoverOptions {
        artifact_type: matches.text("artifact-type").filter(|text| !text.is_empty()).map(Into::into),
        depth: matches.count("depth", 0),
        platform: platform(matches, "platform")?,
    };
    let source = target.source().await?;
    let reference = target.require_reference(&USAGE, true)?;
    let root = oras::discover(source, reference, &options).await.map_err(|error| target.failure(&error))?;
    match format {
        Format::Json => printer.json(&report::Discover::new(&target.path, &root)),
        Format::Text => {
            let paint = Paint(std::io::stdout().is_terminal() && !matches.on("no-tty") && !env::no_color());
            let annotations = matches.switch("verbose").unwrap_or(true);
            printer.bytes(tree::draw(&target.path, &root, annotations, paint).as_bytes())
        }
    }
}
