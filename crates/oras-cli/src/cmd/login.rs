//! `oras login`.

use std::sync::Arc;

use clap::{ArgMatches, Command};
use oras::remote::{Client, ClientOptions, Credential, CredentialStore, Registry, Secret, StaticCredentials};
use oras::report;
use oras::spec::reference::check_registry;

use crate::args;
use crate::args::flags::{self, Matches};
use crate::cmd::login_check;
use crate::env;
use crate::error::{self, Failure};
use crate::format::{self, Format};
use crate::log;
use crate::output::Printer;
use crate::remote::Remote;
use crate::target::{Usage, prompt};

const USAGE: Usage = Usage { path: "oras login", tail: "[flags] <registry>" };

/// The command with its flags.
pub(crate) fn command() -> Command {
    args::command(
        "login",
        "Log in to a registry",
        concat!(
            "Examples:\n",
            "  oras login localhost:5000\n",
            "  echo $TOKEN | oras login -u user --password-stdin localhost:5000\n",
            "  oras login --check localhost:5000"
        ),
    )
    .args(flags::common())
    .args(flags::remote(""))
    .args(flags::format_too())
    .args([
        flags::verbose(),
        flags::switch("check", "Only show where the credential is, of a registry or a repository")
            .help_heading(flags::EXTENSIONS),
        flags::positional("<registry>", "Registry"),
    ])
}

/// Runs it.
pub(crate) async fn run(matches: &ArgMatches, printer: &Printer) -> Result<(), Failure> {
    let words = matches.words();
    USAGE.check(&words, 1, true, "the registry to log in to")?;
    let format = Format::read(matches, format::TEXT, *printer)?;
    let remote = Remote::new(matches, "", printer)?;
    if matches.on("check") {
        return login_check::run(&remote.store, &words[0], &format, printer).await;
    }
    remote.store.check_writable()?;
    let credential = match &remote.credential {
        Some(Credential::Basic { username, password }) if password.expose().is_empty() => Credential::Basic {
            username: username.clone(),
            password: ask(printer, "Password: ", "password")?,
        },
        Some(credential) => credential.clone(),
        None => ask_all(printer, remote.username.as_deref())?,
    };
    let host = words[0].as_str();
    check_registry(host).map_err(|error| Failure::new(error.to_string()))?;
    let options = ClientOptions {
        credentials: Arc::new(StaticCredentials::new(Some(credential.clone()))),
        ..remote.options.clone()
    };
    let registry = Registry::new(&Client::new(options)?, host)?;
    registry.ping().await.map_err(|error| {
        if error.find::<oras::remote::ResponseError>().is_some() {
            return error::of_registry(&error, remote.store.path());
        }
        Failure::from(error.context(format!("failed to validate the credentials for {host}")))
    })?;
    warn_of_plain_text(&remote, host, printer).await?;
    remote
        .store
        .put(host, &credential)
        .await
        .map_err(|error| error.context(format!("failed to store the credentials for {host}")))?;
    match format {
        Format::Text => printer.line("Login Succeeded"),
        format => {
            let username = match &credential {
                Credential::Basic { username, .. } => Some(username.clone()),
                _ => None,
            };
            printer.report(&format, &report::Login { registry: host.to_owned(), logged_in: true, username })
        }
    }
}

/// Says so when the secret will lie in a file as it is although this system has a keychain for it.
async fn warn_of_plain_text(remote: &Remote, host: &str, printer: &Printer) -> Result<(), Failure> {
    let Some(helper) = env::native_helper() else { return Ok(()) };
    if let Some(path) = remote.store.plain_text_path(host).await? {
        let text = format!(
            "the credential will not be encrypted in {path}: to keep it in the keychain, add \"credsStore\": \"{helper}\" to \
             that file and log in again",
            path = path.display()
        );
        log::notice(*printer, &text);
    }
    Ok(())
}

fn ask_all(printer: &Printer, username: Option<&str>) -> Result<Credential, Failure> {
    let username = match username {
        Some(username) => username.to_owned(),
        None => prompt(printer, "Username: ", false)?.trim().to_owned(),
    };
    if username.is_empty() {
        return Ok(Credential::Refresh(ask(printer, "Token: ", "token")?));
    }
    Ok(Credential::Basic { username, password: ask(printer, "Password: ", "password")? })
}

fn ask(printer: &Printer, question: &str, what: &str) -> Result<Secret, Failure> {
    let answer = prompt(printer, question, true)?;
    if answer.is_empty() { Err(Failure::new(format!("{what} required"))) } else { Ok(Secret::from(answer)) }
}
