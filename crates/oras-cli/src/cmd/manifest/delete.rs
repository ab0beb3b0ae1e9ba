//! `oras manifest delete`.

use clap::{ArgMatches, Command};

use crate::args;
use crate::args::flags;
use crate::cmd::delete::{Deletion, target, with_flags};
use crate::error::Failure;
use crate::output::Printer;
use crate::target::Usage;

const USAGE: Usage = Usage { path: "oras manifest delete", tail: "[flags] <name>{:<tag>|@<digest>}" };

/// The command with its flags.
pub(crate) fn command() -> Command {
    let command = args::command(
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
    );
    with_flags(command)
        .args([flags::distribution_spec(""), flags::positional("<name>{:<tag>|@<digest>}", "Manifest")])
}

/// Runs it.
pub(crate) async fn run(matches: &ArgMatches, printer: &Printer) -> Result<(), Failure> {
    let (target, format) = target(matches, &USAGE, "the manifest to delete", printer)?;
    let store = target.store().await?;
    let reference = target.require_reference(&USAGE, true)?;
    let found = oras::resolve(store, reference, None).await;
    let along = " and all tags associated with it";
    let deletion = Deletion { matches, printer, target: &target, format: &format, noun: "manifest", along };
    deletion.run(found).await
}
