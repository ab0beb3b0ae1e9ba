//! `oras login` and `oras logout`.

use std::path::PathBuf;
use std::sync::Arc;

use clap::ArgMatches;
use oras::remote::{
    Client, ClientOptions, Credential, CredentialStore, DockerConfig, Registry, Secret, StaticCredentials,
};
use oras::spec::reference::check_registry;

use crate::args::flags::Matches;
use crate::env;
use crate::error::{self, Failure};
use crate::output::Printer;
use crate::target::{Remote, Usage, prompt};

const LOGIN: Usage = Usage { path: "oras login", tail: "[flags] <registry>" };
const LOGOUT: Usage = Usage { path: "oras logout", tail: "[flags] <registry>" };

pub(crate) async fn login(matches: &ArgMatches, printer: &Printer) -> Result<(), Failure> {
    let words = matches.words();
    LOGIN.check(&words, 1, true, "the registry to log in to")?;
    let remote = Remote::new(matches, "", printer)?;
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
    remote
        .store
        .put(host, &credential)
        .await
        .map_err(|error| error.context(format!("failed to store the credentials for {host}")))?;
    printer.line("Login Succeeded")
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

pub(crate) async fn logout(matches: &ArgMatches) -> Result<(), Failure> {
    let words = matches.words();
    LOGOUT.check(&words, 1, true, "the registry you want to log out")?;
    let paths = match matches.list("registry-config") {
        paths if paths.is_empty() => env::docker_config().into_iter().collect(),
        paths => paths.into_iter().map(PathBuf::from).collect(),
    };
    Ok(DockerConfig::open(paths).erase(&words[0]).await?)
}
