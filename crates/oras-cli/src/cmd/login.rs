//! `oras login`.

use clap::{ArgMatches, Command};
use oras::remote::{Client, Credential, CredentialStore, Registry, Secret, StaticCredentials};
use oras::report;
use oras::spec::reference::check_registry;

use crate::args::{self, FormatArgs, RegistryArgs, Usage, flags};
use crate::cmd::login_check;
use crate::env;
use crate::failure::{self, Failure};
use crate::format::{self, Format};
use crate::hints::Subject;
use crate::log;
use crate::print;
use crate::prompt::prompt;
use crate::registry_access::RegistryAccess;

const USAGE: Usage = Usage { path: "oras login", tail: "[flags] <registry>" };

flags::flags! {
    /// The arguments of `oras login`.
    struct LoginArgs {
        #[flatten] registry: RegistryArgs,
        #[flatten] format: FormatArgs,
        _verbose: bool = flags::verbose(),
        check: bool = flags::switch("Only show where the credential is, of a registry or a repository"),
        words: Vec<String> = flags::positional("<registry>", "Registry"),
    }
}

/// Creates the command.
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
    .args(LoginArgs::flags(""))
}

/// Runs the command.
pub(crate) async fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let args = LoginArgs::read(matches, "");
    USAGE.check(&args.words, 1, true, "the registry to log in to")?;
    let format = Format::read(&args.format, format::TEXT).await?;
    let access = RegistryAccess::new(&args.registry, "")?;
    if args.check {
        return login_check::run(&access.store, &args.words[0], &format).await;
    }
    // This check comes before the prompt, so that an unwritable file fails before the user types a password.
    access.store.check_writable()?;
    let credential = match &access.credential {
        // A user name without a password has an empty password here, so only the password is asked for.
        Some(Credential::Basic { username, password }) if password.expose().is_empty() => {
            Credential::Basic { username: username.clone(), password: ask_secret("Password: ", "password")? }
        }
        Some(credential) => credential.clone(),
        None => ask_credential(access.username.as_deref())?,
    };
    let host = args.words[0].as_str();
    check_registry(host).map_err(|error| Failure::new(error.to_string()))?;
    // The request must use the new credential and not one that is already stored for the registry.
    let credentials = StaticCredentials::for_server(host, credential.clone());
    let options = access.options.clone().credentials(credentials);
    let registry = Registry::new(&Client::new(options)?, host)?;
    // Only a credential that the registry accepts is stored.
    registry.ping().await.map_err(|error| {
        // A credential that was typed counts like one of a flag.
        let subject = Subject { has_credential_flags: true, ..Subject::of_access(&access, host) };
        if error.find_shown::<oras::remote::ResponseError>().is_some() {
            return failure::of_registry(&error, access.store.path(), &subject);
        }
        Failure::about(&error.context(format!("failed to validate the credentials for {host}")), &subject)
    })?;
    warn_of_plain_text(&access, host).await?;
    access
        .store
        .put(host, &credential)
        .await
        .map_err(|error| error.context(format!("failed to store the credentials for {host}")))?;
    match format {
        Format::Text => print::status("Login Succeeded"),
        format => {
            let username = match &credential {
                Credential::Basic { username, .. } => Some(username.clone()),
                _ => None,
            };
            format.report(&report::Login { registry: host.to_owned(), logged_in: true, username }).await
        }
    }
}

/// Warns if the secret will be stored unencrypted although a credential helper for a keychain is installed.
async fn warn_of_plain_text(access: &RegistryAccess, host: &str) -> Result<(), Failure> {
    let Some(helper) = env::native_helper() else { return Ok(()) };
    if let Some(path) = access.store.plain_text_path(host).await? {
        let text = format!(
            "the credential will not be encrypted in {path}: to keep it in the keychain, add \"credsStore\": \"{helper}\" to \
             that file and log in again",
            path = path.display()
        );
        log::notice(&text);
    }
    Ok(())
}

/// Asks for the user name and the secret.
fn ask_credential(username: Option<&str>) -> Result<Credential, Failure> {
    let username = match username {
        Some(username) => username.to_owned(),
        None => prompt("Username: ", false)?.trim().to_owned(),
    };
    if username.is_empty() {
        return Ok(Credential::Refresh(ask_secret("Token: ", "token")?));
    }
    Ok(Credential::Basic { username, password: ask_secret("Password: ", "password")? })
}

/// Asks for a secret, which must not be empty.
fn ask_secret(question: &str, what: &str) -> Result<Secret, Failure> {
    let answer = prompt(question, true)?;
    if !answer.is_empty() {
        return Ok(Secret::from(answer));
    }
    let hint = match what {
        "token" => "give a user name (--username), or a token on standard input: --identity-token-stdin",
        _ => "give the password on standard input: --password-stdin",
    };
    Err(Failure::new(format!("{what} required")).hint(Some(hint)))
}
