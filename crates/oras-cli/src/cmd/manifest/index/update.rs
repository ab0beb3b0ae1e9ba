//! `oras manifest index update`.

use std::sync::Arc;

use clap::{ArgMatches, Command};
use oras::spec::{Digest, MediaType};
use oras::{IndexUpdate, Names};

use super::index_output::{IndexArgs, IndexOutput};
use crate::args::{self, Usage, check_tags, flags, values};
use crate::artifact_location::ArtifactLocation;
use crate::failure::Failure;
use crate::print;

const USAGE: Usage = Usage {
    path: "oras manifest index update",
    tail: "<index>{:<tag>|@<digest>} [{--add|--merge|--remove} <manifest>{<tag>|<digest>}] [...]",
};

flags::flags! {
    /// The arguments of `oras manifest index update`.
    struct UpdateArgs {
        #[flatten] index: IndexArgs,
        add: Vec<String> = flags::list("REF", "Append this manifest"),
        merge: Vec<String> = flags::list("REF", "Append what this index lists"),
        remove: Vec<String> = flags::list("DIGEST", "Remove this manifest"),
        tag: Vec<String> = flags::list("TAG", "Also give the new index this tag"),
        words: Vec<String> = flags::positional("<index>{:<tag>|@<digest>}", "Index"),
    }
}

/// Creates the command.
pub(crate) fn command() -> Command {
    args::command(
        "update",
        "Change what an index lists and push it anew",
        concat!(
            "Examples:\n",
            "  oras manifest index update localhost:5000/hello:v1 \\\n    --add linux-arm64 --remove sha256:…\n",
            "  oras manifest index update localhost:5000/hello:v2 \\\n    --merge v2-windows --tag latest\n",
            "  oras manifest index update localhost:5000/hello@sha256:… \\\n    --add linux-arm64 --tag v3\n",
            "  oras manifest index update localhost:5000/hello:v1 --artifact-type=\"\"\n",
            "  oras manifest index update localhost:5000/hello:v1 \\\n    --add linux-arm64 --output - --pretty\n\n",
            "A tag is moved to the new index. Fields that ORAS does not know are kept."
        ),
    )
    .args(UpdateArgs::flags(""))
}

/// Runs the command.
pub(crate) async fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let args = UpdateArgs::read(matches, "");
    USAGE.check(&args.words, 1, true, "the target index to update")?;
    flags::exclusive!("", args.tag, args.index.output)?;
    // Malformed digests fail here, before the first request.
    let remove = args
        .remove
        .iter()
        .map(|text| match text.as_str() {
            "" => Err(Failure::new("remove: the digest is empty")),
            text => {
                text.parse::<Digest>().map_err(|_| Failure::new(format!("remove: {text} is not a digest")))
            }
        })
        .collect::<Result<_, _>>()?;
    let target = ArtifactLocation::new(&args.index.location, "", &args.words[0])?;
    check_tags(&args.tag)?;
    let output = IndexOutput::new(&args.index).await?;
    let lists = [&args.add, &args.merge, &args.remove];
    if lists.iter().all(|list| list.is_empty()) && args.index.artifact_type.is_none() {
        return print::status("Nothing to update as no change is requested");
    }
    let store = target.store().await?;
    let reference = target.require_reference(&USAGE, true)?;
    // An empty value removes the artifact type. Without the flag the artifact type does not change.
    let artifact_type = args.index.artifact_type.as_ref();
    let artifact_type = artifact_type.map(|text| values::non_empty(Some(text)).map(MediaType::new));
    let update = IndexUpdate::default()
        .artifact_type(artifact_type)
        .remove(remove)
        .add(args.add.clone())
        .merge(args.merge.clone());
    let index = target.explain(oras::update_index(Arc::clone(&store), reference, &update, &output).await)?;
    output.line(format!("Updated   {}", index.descriptor().digest))?;
    let by_digest = reference.parse::<Digest>().is_ok();
    let shown = if by_digest { target.display_as(&target.path) } else { target.display() };
    let names = Names { extra_tags: args.tag.clone(), ..Names::only(reference) };
    output.finish(&target, store, &index, names, &shown).await
}
