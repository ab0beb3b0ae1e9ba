//! `oras annotate`.

use clap::{ArgMatches, Command};
use oras::{Annotations, report};

use crate::args::{self, FormatArgs, LocationArgs, Usage, flags};
use crate::artifact_location::ArtifactLocation;
use crate::cmd::pack_args;
use crate::failure::Failure;
use crate::format::{self, Format};
use crate::print;

const USAGE: Usage = Usage {
    path: "oras annotate",
    tail: "[flags] <name>{:<tag>|@<digest>} {--annotation <key>=<value>|--remove <key>} [...]",
};

flags::flags! {
    /// The arguments of `oras annotate`.
    struct AnnotateArgs {
        #[flatten] location: LocationArgs,
        #[flatten] format: FormatArgs,
        annotation: Vec<String> = flags::list("KEY=VALUE", "Set this annotation").short('a'),
        remove: Vec<String> = flags::list("KEY", "Remove this annotation"),
        words: Vec<String> = flags::positional("<name>{:<tag>|@<digest>}", "Manifest or index"),
    }
}

/// Creates the command.
pub(crate) fn command() -> Command {
    args::command(
        "annotate",
        "Edit the annotations of a manifest or an index",
        concat!(
            "Examples:\n",
            "  oras annotate localhost:5000/hello:v1 -a org.opencontainers.image.version=1.0\n",
            "  oras annotate localhost:5000/hello:v1 --remove stage -a owner=me\n",
            "  oras annotate --oci-layout ./layout:v1 -a key=value\n\n",
            "A manifest can't be changed: a new one is pushed, the same but for its annotations, and the tag is moved to ",
            "it. The old one stays under its digest. Signatures and other referrers stay with the old digest."
        ),
    )
    .args(AnnotateArgs::flags(""))
}

/// Runs the command.
pub(crate) async fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let args = AnnotateArgs::read(matches, "");
    USAGE.check(&args.words, 1, true, "the manifest to annotate")?;
    let format = Format::read(&args.format, format::TEXT).await?;
    // `--annotation` describes the manifest itself, so its values are stored under `$manifest`.
    let set = pack_args::annotations(&args.annotation, None)?.remove("$manifest").unwrap_or_default();
    let edits = Annotations::default().set(set.into_iter().collect()).remove(args.remove.clone());
    if edits.set.is_empty() && edits.remove.is_empty() {
        return Err(Failure::new("neither annotations to set nor annotations to remove are given")
            .usage(USAGE.line())
            .advise("Please give them via the flags --annotation \"key=value\" and --remove \"key\""));
    }
    let target = ArtifactLocation::new(&args.location, "", &args.words[0])?;
    let reference = target.require_reference(&USAGE, true)?;
    let store = target.deleting_store().await?;
    let annotated = target.explain(oras::annotate(store, reference, &edits).await)?;
    match format {
        Format::Text => {
            let verb =
                if annotated.before.digest == annotated.after.digest { "Unchanged" } else { "Annotated" };
            print::status(format!(
                "{verb} {}\nOld digest: {}\nDigest: {}",
                target.display(),
                annotated.before.digest,
                annotated.after.digest
            ))
        }
        format => format.report(&report::Annotate::new(&target.path, &annotated)).await,
    }
}
