//! `oras manifest index update`.

use std::sync::Arc;

use clap::{ArgMatches, Command};
use oras::spec::{Digest, MediaType};
use oras::{IndexUpdate, Names};

use super::{Outlet, shared};
use crate::args;
use crate::args::flags::{self, Matches, exclusive};
use crate::error::Failure;
use crate::output::Printer;
use crate::target::{Target, Usage, check_tags};

const USAGE: Usage = Usage {
    path: "oras manifest index update",
    tail: "<index>{:<tag>|@<digest>} [{--add|--merge|--remove} <manifest>{<tag>|<digest>}] [...]",
};

/// The command with its flags.
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
    .args(shared())
    .args([
        flags::list("add", "REF", "Append this manifest"),
        flags::list("merge", "REF", "Append what this index lists"),
        flags::list("remove", "DIGEST", "Remove this manifest"),
        flags::list("tag", "TAG", "Also give the new index this tag"),
        flags::positional("<index>{:<tag>|@<digest>}", "Index"),
    ])
}

/// Runs it.
pub(crate) async fn run(matches: &ArgMatches, printer: &Printer) -> Result<(), Failure> {
    let words = matches.words();
    USAGE.check(&words, 1, true, "the target index to update")?;
    exclusive(matches, "", &["tag", "output"])?;
    let remove = matches
        .list("remove")
        .iter()
        .map(|text| match text.as_str() {
            "" => Err(Failure::new("remove: the digest is empty")),
            text => {
                text.parse::<Digest>().map_err(|_| Failure::new(format!("remove: {text} is not a digest")))
            }
        })
        .collect::<Result<_, _>>()?;
    let target = Target::new(matches, "", &words[0], printer)?;
    let tags = matches.list("tag");
    check_tags(&tags)?;
    let outlet = Outlet::new(matches, printer)?;
    if !["add", "merge", "remove", "artifact-type"].iter().any(|flag| matches.given(flag)) {
        return printer.line("Nothing to update as no change is requested");
    }
    let store = target.store().await?;
    let reference = target.require_reference(&USAGE, true)?;
    let artifact_type = matches
        .text("artifact-type")
        .map(|text| Some(text).filter(|text| !text.is_empty()).map(MediaType::from));
    let update =
        IndexUpdate { artifact_type, remove, add: matches.list("add"), merge: matches.list("merge") };
    let index = oras::update_index(Arc::clone(&store) as _, reference, &update, &outlet.listener())
        .await
        .map_err(|error| target.failure(&error))?;
    outlet.line(format!("Updated   {}", index.descriptor().digest))?;
    let by_digest = reference.parse::<Digest>().is_ok();
    let shown = if by_digest { target.display_as(&target.path) } else { target.display() };
    let names = Names { extra_tags: tags, ..Names::only(reference) };
    outlet.finish(&target, store, &index, (names, &shown)).await
}
