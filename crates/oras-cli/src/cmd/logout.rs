//! `oras logout`.

use clap::{ArgMatches, Command};
use oras::remote::CredentialStore;

use crate::args;
use crate::args::flags::{self, Matches};
use crate::error::Failure;
use crate::output::Printer;
use crate::remote::credential_files;
use crate::target::Usage;

const USAGE: Usage = Usage { path: "oras logout", tail: "[flags] <registry>" };

/// The command with its flags.
pub(crate) fn command() -> Command {
    args::command("logout", "Forget the credential of a registry", "Examples:\n  oras logout localhost:5000")
        .args(flags::common())
        .args([
            flags::list("registry-config", "PATH", "Remove the credential from this file"),
            flags::positional("<registry>", "Registry"),
        ])
}

/// Runs it.
pub(crate) async fn run(matches: &ArgMatches, printer: &Printer) -> Result<(), Failure> {
    let words = matches.words();
    USAGE.check(&words, 1, true, "the registry you want to log out")?;
    let store = credential_files(&matches.list("registry-config"), printer);
    store.check_writable()?;
    let host = &words[0];
    let erased = store.erase(host).await;
    Ok(erased.map_err(|error| error.context(format!("failed to delete the credential for {host}")))?)
}
