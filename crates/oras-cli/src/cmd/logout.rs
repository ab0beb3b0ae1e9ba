//! `oras logout`.

use clap::{ArgMatches, Command};
use oras::remote::CredentialStore;

use crate::args::{self, Usage, flags};
use crate::credentials::credential_files;
use crate::failure::Failure;

const USAGE: Usage = Usage { path: "oras logout", tail: "[flags] <registry>" };

flags::flags! {
    /// The arguments of `oras logout`.
    struct LogoutArgs {
        registry_config: Vec<String> = flags::list("PATH", "Remove the credential from this file"),
        words: Vec<String> = flags::positional("<registry>", "Registry"),
    }
}

/// Creates the command.
pub(crate) fn command() -> Command {
    args::command("logout", "Forget the credential of a registry", "Examples:\n  oras logout localhost:5000")
        .args(LogoutArgs::flags(""))
}

/// Runs the command.
pub(crate) async fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let args = LogoutArgs::read(matches, "");
    USAGE.check(&args.words, 1, true, "the registry you want to log out")?;
    let store = credential_files(&args.registry_config);
    // An unwritable file fails here, before any credential is deleted.
    store.check_writable()?;
    let host = &args.words[0];
    let erased = store.erase(host).await;
    Ok(erased.map_err(|error| error.context(format!("failed to delete the credential for {host}")))?)
}
