//! `oras manifest delete`.

use clap::{ArgMatches, Command};

use crate::args::{self, Usage, flags};
use crate::cmd::deletion::{Deletion, DeletionArgs};
use crate::failure::Failure;

const USAGE: Usage = Usage { path: "oras manifest delete", tail: "[flags] <name>{:<tag>|@<digest>}" };

flags::flags! {
    /// The arguments of `oras manifest delete`.
    struct DeleteArgs {
        #[flatten] deletion: DeletionArgs,
        _distribution_spec: Option<String> = flags::distribution_spec(),
        words: Vec<String> = flags::positional("<name>{:<tag>|@<digest>}", "Manifest"),
    }
}

/// Creates the command.
pub(crate) fn command() -> Command {
    args::command(
        "delete",
        "Delete a manifest and all tags that name it",
        concat!(
            "Examples:\n",
            "  oras manifest delete localhost:5000/hello:v1\n",
            "  oras manifest delete --force localhost:5000/hello@sha256:…\n",
            "  oras manifest delete --oci-layout ./layout:v1\n\n",
            "From an OCI layout what refers to the manifest goes too, and then every blob that nothing else needs. ",
            "To remove one tag only, use \"oras untag\"."
        ),
    )
    .visible_aliases(["remove", "rm"])
    .args(DeleteArgs::flags(""))
}

/// Runs the command.
pub(crate) async fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let args = DeleteArgs::read(matches, "");
    let deletion = Deletion::new(&args.deletion, &args.words, &USAGE, "the manifest to delete").await?;
    let target = &deletion.target;
    let store = target.store().await?;
    let reference = target.require_reference(&USAGE, true)?;
    let found = oras::resolve(store, reference, None).await;
    deletion.run("manifest", " and all tags associated with it", found).await
}
