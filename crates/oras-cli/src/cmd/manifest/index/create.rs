//! `oras manifest index create`.

use std::sync::Arc;

use clap::{ArgMatches, Command};
use oras::spec::MediaType;
use oras::{IndexOptions, Names};

use super::{Outlet, shared};
use crate::args;
use crate::args::flags::{self, Matches};
use crate::cmd::pack;
use crate::error::Failure;
use crate::output::Printer;
use crate::target::{Target, Usage, check_tags, split_tags};

const USAGE: Usage = Usage {
    path: "oras manifest index create",
    tail: "[flags] <target>[:<tag[,<tag>][...]] <sources>[{<tag>|<digest>}...]",
};

/// The command with its flags.
pub(crate) fn command() -> Command {
    args::command(
        "create",
        "Make an index of manifests of a repository and push it there",
        concat!(
            "Examples:\n",
            "  oras manifest index create localhost:5000/hello:v1 linux-amd64 linux-arm64\n",
            "  oras manifest index create localhost:5000/hello:v1,latest amd64 \\\n    sha256:… -a key=value\n",
            "  oras manifest index create --oci-layout ./layout:v1 linux-amd64\n",
            "  oras manifest index create localhost:5000/hello amd64 -o - --pretty"
        ),
    )
    .visible_alias("pack")
    .args(shared())
    .args([
        flags::list("annotation", "KEY=VALUE", "Annotation of the index").short('a'),
        flags::positional(
            "<target>[:<tag[,<tag>][...]] <sources>[{<tag>|<digest>}...]",
            "Destination, then tags or digests there",
        ),
    ])
}

/// Runs it.
pub(crate) async fn run(matches: &ArgMatches, printer: &Printer) -> Result<(), Failure> {
    let words = matches.words();
    USAGE.check(&words, 1, false, "the destination index to create.")?;
    let (raw, extra_tags) = split_tags(&words[0])?;
    let target = Target::new(matches, "", raw, printer)?;
    let annotations = pack::annotations(matches)?.remove("$manifest").unwrap_or_default();
    check_tags(&extra_tags)?;
    let outlet = Outlet::new(matches, printer)?;
    let store = target.store().await?;
    let artifact_type = matches.text("artifact-type").filter(|text| !text.is_empty()).map(MediaType::from);
    let options = IndexOptions { manifests: words[1..].to_vec(), artifact_type, annotations };
    let index = oras::create_index(Arc::clone(&store) as _, &options, &outlet.listener())
        .await
        .map_err(|error| target.failure(&error))?;
    let node = index.descriptor();
    outlet.line(format!("Packed    {} {}", node.digest.short(), node.media_type))?;
    let names = Names { extra_tags, ..Names::only(&target.reference) };
    outlet.finish(&target, store, &index, (names, &target.display())).await
}
