//! `oras blob delete`.

use clap::{ArgMatches, Command};

use crate::args;
use crate::args::flags;
use crate::cmd::delete::{Deletion, target, with_flags};
use crate::error::Failure;
use crate::output::Printer;
use crate::target::Usage;

const USAGE: Usage = Usage { path: "oras blob delete", tail: "[flags] <name>@<digest>" };

/// The command with its flags.
pub(crate) fn command() -> Command {
    let command = args::command(
        "delete",
        "Delete a blob",
        concat!(
            "Examples:\n",
            "  oras blob delete localhost:5000/hello@sha256:…\n",
            "  oras blob delete --force --descriptor localhost:5000/hello@sha256:…\n\n",
            "Nothing checks whether a manifest needs the blob."
        ),
    );
    with_flags(command).arg(flags::positional("<name>@<digest>", "Blob"))
}

/// Runs it.
pub(crate) async fn run(matches: &ArgMatches, printer: &Printer) -> Result<(), Failure> {
    let (target, format) = target(matches, &USAGE, "the target blob to delete", printer)?;
    let store = target.store().await?;
    let reference = target.require_reference(&USAGE, false)?;
    let found = match target.repository()? {
        Some(repository) => {
            let digest = reference
                .parse()
                .map_err(|error: oras::spec::DigestError| Failure::new(error.to_string()))?;
            repository.resolve_blob(&digest).await
        }
        None => store.resolve(reference).await,
    };
    Deletion { matches, printer, target: &target, format: &format, noun: "blob", along: "" }.run(found).await
}
