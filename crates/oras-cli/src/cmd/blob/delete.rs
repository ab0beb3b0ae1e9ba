//! `oras blob delete`.

use clap::{ArgMatches, Command};

use crate::args::{self, Usage, flags};
use crate::cmd::deletion::{Deletion, DeletionArgs};
use crate::failure::Failure;

const USAGE: Usage = Usage { path: "oras blob delete", tail: "[flags] <name>@<digest>" };

flags::flags! {
    /// The arguments of `oras blob delete`.
    struct DeleteArgs {
        #[flatten] deletion: DeletionArgs,
        words: Vec<String> = flags::positional("<name>@<digest>", "Blob"),
    }
}

/// Creates the command.
pub(crate) fn command() -> Command {
    args::command(
        "delete",
        "Delete a blob",
        concat!(
            "Examples:\n",
            "  oras blob delete localhost:5000/hello@sha256:…\n",
            "  oras blob delete --force --descriptor localhost:5000/hello@sha256:…\n\n",
            "Nothing checks whether a manifest needs the blob."
        ),
    )
    .visible_aliases(["remove", "rm"])
    .args(DeleteArgs::flags(""))
}

/// Runs the command.
pub(crate) async fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let args = DeleteArgs::read(matches, "");
    let deletion = Deletion::new(&args.deletion, &args.words, &USAGE, "the target blob to delete").await?;
    let target = &deletion.target;
    let store = target.store().await?;
    let reference = target.require_reference(&USAGE, false)?;
    // A registry has separate endpoints for blobs and manifests, and `resolve` queries the one for manifests.
    let found = match target.repository()? {
        Some(repository) => {
            let digest = reference.parse().map_err(|error: oras::spec::DigestError| {
                Failure::new(error.to_string()).hint(target.digest_hint())
            })?;
            repository.resolve_blob(&digest).await
        }
        None => store.resolve(reference).await,
    };
    deletion.run("blob", "", found).await
}
