//! Credentials from flags and from credential files.

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use oras::remote::{Credential, DockerConfig, Secret};

use crate::args::ConnectionArgs;
use crate::failure::Failure;
use crate::log;
use crate::print;

/// Opens the credential files: those of `--registry-config`, else Docker's, with those of the containers tools as a
/// fallback.
pub(crate) fn credential_files(given: &[String]) -> DockerConfig {
    let store = match given {
        [] => DockerConfig::system(),
        // Explicit files have no fallbacks, so that no other credential is sent.
        paths => DockerConfig::open(paths.iter().map(PathBuf::from).collect()),
    };
    store.with_notices(Arc::new(move |text: &str| log::notice(text)))
}

/// Returns the credential that the flags give. Reads it from standard input for `--password-stdin` and
/// `--identity-token-stdin`, which only commands with one registry accept.
pub(crate) fn given(
    args: &ConnectionArgs,
    username: Option<String>,
    is_for_one_registry: bool,
) -> Result<Option<Credential>, Failure> {
    let (mut password, mut token) = (args.password.clone(), args.identity_token.clone());
    if is_for_one_registry {
        if password.is_some() {
            print::error("WARNING! Using --password via the CLI is insecure. Use --password-stdin.");
        }
        if token.is_some() {
            print::error(
                "WARNING! Using --identity-token via the CLI is insecure. Use --identity-token-stdin.",
            );
        }
        if args.password_stdin == Some(true) {
            password = Some(read_secret()?);
        }
        if args.identity_token_stdin == Some(true) {
            token = Some(read_secret()?);
        }
    }
    let secret = |text: Option<String>| text.filter(|text| !text.is_empty()).map(Secret::from);
    Ok(match (username, secret(password), secret(token)) {
        (Some(username), Some(password), _) => Some(Credential::Basic { username, password }),
        // A user name without a password can't be used. It is kept, because an error is clearer than an anonymous
        // request.
        (Some(username), None, _) => {
            Some(Credential::Basic { username, password: Secret::from(String::new()) })
        }
        (None, Some(secret), _) | (None, None, Some(secret)) => Some(Credential::Refresh(secret)),
        (None, None, None) => None,
    })
}

/// Reads standard input, without one final line break.
fn read_secret() -> Result<String, Failure> {
    let mut text = String::new();
    std::io::stdin()
        // A secret is short; the limit protects against reading an endless stream.
        .take(1 << 20)
        .read_to_string(&mut text)
        .map_err(|error| Failure::of_io("failed to read standard input", &error))?;
    // `echo` adds a line break, which is not a part of the secret.
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}
