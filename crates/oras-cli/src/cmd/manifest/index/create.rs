//! `oras manifest index create`.

use std::sync::Arc;

use clap::{ArgMatches, Command};
use oras::spec::MediaType;
use oras::{IndexOptions, Names};

use super::index_output::{IndexArgs, IndexOutput};
use crate::args::{self, Usage, check_tags, flags, split_tags, values};
use crate::artifact_location::ArtifactLocation;
use crate::cmd::pack_args;
use crate::failure::Failure;

const USAGE: Usage = Usage {
    path: "oras manifest index create",
    tail: "[flags] <target>[:<tag[,<tag>][...]] <sources>[{<tag>|<digest>}...]",
};

flags::flags! {
    /// The arguments of `oras manifest index create`.
    struct CreateArgs {
        #[flatten] index: IndexArgs,
        annotation: Vec<String> = flags::list("KEY=VALUE", "Annotation of the index").short('a'),
        words: Vec<String> = flags::positional(
            "<target>[:<tag[,<tag>][...]] <sources>[{<tag>|<digest>}...]",
            "Destination, then tags or digests there",
        ),
    }
}

/// Creates the command.
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
    .args(CreateArgs::flags(""))
}

/// Runs the command.
pub(crate) async fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let args = CreateArgs::read(matches, "");
    USAGE.check(&args.words, 1, false, "the destination index to create.")?;
    let (raw, extra_tags) = split_tags(&args.words[0]);
    let target = ArtifactLocation::new(&args.index.location, "", raw)?;
    let annotations = pack_args::annotations(&args.annotation, None)?.remove("$manifest").unwrap_or_default();
    // All tags are checked before the index is built, so that a malformed one fails before any request.
    check_tags(&extra_tags)?;
    let output = IndexOutput::new(&args.index).await?;
    let store = target.store().await?;
    let artifact_type = values::non_empty(args.index.artifact_type.as_ref()).map(MediaType::new);
    let options = IndexOptions::default()
        .manifests(args.words[1..].to_vec())
        .artifact_type(artifact_type)
        .annotations(annotations);
    let index = target.explain(oras::create_index(Arc::clone(&store), &options, &output).await)?;
    let node = index.descriptor();
    output.line(format!("Packed    {} {}", node.digest.short(), node.media_type))?;
    let names = Names { extra_tags, ..Names::only(&target.reference) };
    output.finish(&target, store, &index, names, &target.display()).await
}
