//! Credential helpers: the programs `docker-credential-*`, which keep credentials in a keychain.
//!
//! A helper receives an action as its argument, and a server or a credential as JSON on its standard input. It writes
//! results and errors to its standard output. Its standard error is passed through to the user.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use oras_store::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use zeroize::Zeroizing;

use crate::auth::credential::Credential;
use crate::auth::secret::Secret;

/// Timeout for a helper, which may show a prompt to the user.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The maximum size in bytes of the output of a helper.
const MAX_OUTPUT: u64 = 64 * 1024;
/// The output of a helper that has no credential for the server.
const NOT_FOUND: &str = "credentials not found in native keychain";
/// The user name that marks an identity token.
const TOKEN_USER: &str = "<token>";

/// A credential helper.
#[derive(Debug)]
pub(crate) struct CredentialHelper {
    program: PathBuf,
    timeout: Duration,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Request<'a> {
    #[serde(rename = "ServerURL")]
    server_url: &'a str,
    username: &'a str,
    secret: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Response {
    #[serde(default)]
    username: String,
    #[serde(default)]
    secret: String,
}

impl CredentialHelper {
    /// Returns the helper that a configuration calls `name`, in `directory` or in the search path.
    ///
    /// # Errors
    /// If `name` can't be part of a program's name.
    pub(crate) fn new(name: &str, directory: Option<&Path>) -> Result<Self> {
        // A path separator would let the configuration file name any program.
        if name.contains(['/', '\\', '\0']) {
            let message = format!("invalid name of a credential helper {name:?}");
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        let program = PathBuf::from(format!("docker-credential-{name}"));
        // A bare name makes the system search `PATH`.
        let program = directory.map_or(program.clone(), |directory| directory.join(&program));
        Ok(Self { program, timeout: TIMEOUT })
    }

    /// Returns the credential for `server`, if there is one.
    pub(crate) async fn get(&self, server: &str) -> Result<Option<Credential>> {
        let Some(output) = self.run("get", server.as_bytes()).await? else {
            return Ok(None);
        };
        // The error omits the output, which contains a secret.
        let response: Response = serde_json::from_slice(&output).map_err(|error| {
            let place = format!("line {} column {}", error.line(), error.column());
            self.failed("get", &format!("invalid answer at {place}"))
        })?;
        let secret = Secret::from(response.secret);
        Ok(match response.username.as_str() {
            // Two empty fields mean that there is no credential: a server would reject empty credentials.
            "" if secret.expose().is_empty() => None,
            TOKEN_USER => Some(Credential::Refresh(secret)),
            _ => Some(Credential::Basic { username: response.username, password: secret }),
        })
    }

    /// Stores `credential` for `server`.
    pub(crate) async fn store(&self, server: &str, credential: &Credential) -> Result<()> {
        let (username, secret) = match credential {
            Credential::Basic { username, password } => (username.as_str(), password),
            Credential::Refresh(token) => (TOKEN_USER, token),
            // The protocol of helpers has a marker for identity tokens but none for access tokens.
            Credential::Access(_) => {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    "a credential helper can't keep an access token",
                ));
            }
        };
        let request = Request { server_url: server, username, secret: secret.expose() };
        let input = serde_json::to_vec(&request).map(Zeroizing::new).map_err(|error| {
            Error::new(ErrorKind::Other, "failed to encode the credentials").with_source(error)
        })?;
        self.run("store", &input).await.map(drop)
    }

    /// Deletes the credential for `server`, if there is one.
    pub(crate) async fn erase(&self, server: &str) -> Result<()> {
        self.run("erase", server.as_bytes()).await.map(drop)
    }

    /// Runs the helper and returns its output, or `None` if it has no such credential.
    async fn run(&self, action: &str, input: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>> {
        // Dropping the future kills the helper.
        let mut child = Command::new(&self.program)
            .arg(action)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| self.not_started(error))?;
        let exchange = tokio::time::timeout(self.timeout, exchange(&mut child, input));
        let (output, status) = exchange
            .await
            .map_err(|_| self.failed(action, &format!("no answer within {:?}", self.timeout)))?
            .map_err(|error| self.failed(action, "can't talk to it").with_source(error))?;
        if output.len() as u64 > MAX_OUTPUT {
            return Err(self.failed(action, &format!("it answers more than {MAX_OUTPUT} bytes")));
        }
        if status.success() {
            return Ok(Some(output));
        }
        match String::from_utf8_lossy(&output).trim() {
            NOT_FOUND => Ok(None),
            // Output that may be a credential is not shown as a message.
            message if message.is_empty() || message.starts_with('{') => {
                Err(self.failed(action, &status.to_string()))
            }
            message => Err(self.failed(action, message)),
        }
    }

    /// Returns true if `error` means that the program is not installed.
    pub(crate) fn is_missing(&self, error: &Error) -> bool {
        // Only `not_started` creates this kind for `get`, and only if the program was not found.
        error.kind() == ErrorKind::Unsupported
    }

    /// Returns `docker-credential-` and the configured name.
    pub(crate) fn name(&self) -> String {
        self.program.file_name().unwrap_or(OsStr::new("")).to_string_lossy().into_owned()
    }

    fn not_started(&self, error: std::io::Error) -> Error {
        let start = format!("exec: \"{}\"", self.program.display());
        if error.kind() == io::ErrorKind::NotFound {
            return Error::new(
                ErrorKind::Unsupported,
                format!("{start}: executable file not found in $PATH"),
            );
        }
        Error::io(start, error)
    }

    fn failed(&self, action: &str, why: &str) -> Error {
        Error::new(ErrorKind::Other, format!("{} {action}: {why}", self.name()))
    }
}

/// Writes the input and reads the output at the same time. Reads at most one byte more than `MAX_OUTPUT`.
async fn exchange(
    child: &mut Child,
    input: &[u8],
) -> std::io::Result<(Zeroizing<Vec<u8>>, std::process::ExitStatus)> {
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let feed = async move {
        if let Some(mut stdin) = stdin {
            // A helper may answer without reading all of its input.
            drop(stdin.write_all(input).await);
        }
    };
    let read = async move {
        let mut output = Zeroizing::new(Vec::with_capacity(4096));
        if let Some(stdout) = stdout {
            stdout.take(MAX_OUTPUT + 1).read_to_end(&mut output).await?;
        }
        Ok::<_, std::io::Error>(output)
    };
    // Writes and reads at the same time: a helper that fills its output pipe before it reads would block a sequential
    // exchange forever.
    let ((), output) = tokio::join!(feed, read);
    // The output pipe is closed here, so a helper that writes more fails instead of waiting forever.
    Ok((output?, child.wait().await?))
}

#[cfg(test)]
#[cfg(unix)]
pub(crate) mod tests {
    use super::*;

    /// Creates a helper that runs `script`. Another process writes the file, because a file that this process has
    /// open for writing can't be executed, and a concurrently forked test would inherit it.
    pub(crate) fn install(directory: &Path, name: &str, script: &str) {
        let path = directory.join(format!("docker-credential-{name}"));
        let made = std::process::Command::new("sh")
            .args(["-c", "printf '#!/bin/sh\n%s\n' \"$1\" >\"$0\" && chmod 700 \"$0\""])
            .arg(&path)
            .arg(script)
            .status();
        assert!(made.unwrap().success());
    }

    fn helper(script: &str) -> (tempfile::TempDir, CredentialHelper) {
        let directory = tempfile::tempdir().unwrap();
        install(directory.path(), "test", script);
        let helper = CredentialHelper::new("test", Some(directory.path())).unwrap();
        (directory, helper)
    }

    #[tokio::test]
    async fn reads_credentials_and_errors() {
        let basic = Credential::Basic { username: "u".into(), password: "p".into() };
        for (script, expected) in [
            (r#"echo '{"ServerURL":"s","Username":"u","Secret":"p"}'"#, Some(basic)),
            (r#"echo '{"Username":"<token>","Secret":"t"}'"#, Some(Credential::Refresh("t".into()))),
            ("echo '{}'", None),
            ("echo 'credentials not found in native keychain'; exit 1", None),
        ] {
            let (_directory, helper) = helper(script);
            assert_eq!(helper.get("s").await.unwrap(), expected, "{script}");
        }
        for (script, message) in [
            ("echo ' no keychain '; exit 1", "docker-credential-test get: no keychain"),
            ("exit 3", "docker-credential-test get: exit status: 3"),
            ("echo hunter2", "docker-credential-test get: invalid answer at line 1 column 1"),
            ("cat /dev/zero", "docker-credential-test get: it answers more than 65536 bytes"),
        ] {
            let (_directory, helper) = helper(script);
            assert_eq!(helper.get("s").await.unwrap_err().chain(), message);
        }
    }

    #[tokio::test]
    async fn sends_actions_and_credentials() {
        let (directory, helper) = helper(r#"cat >"$0.$1""#);
        let read = |action: &str| {
            let path = directory.path().join(format!("docker-credential-test.{action}"));
            std::fs::read_to_string(path).unwrap()
        };
        let basic = Credential::Basic { username: "user".into(), password: "pass".into() };
        helper.store("localhost:5105", &basic).await.unwrap();
        assert_eq!(read("store"), r#"{"ServerURL":"localhost:5105","Username":"user","Secret":"pass"}"#);
        helper.store("s", &Credential::Refresh("t".into())).await.unwrap();
        assert_eq!(read("store"), r#"{"ServerURL":"s","Username":"<token>","Secret":"t"}"#);
        helper.erase("s").await.unwrap();
        assert_eq!(read("erase"), "s");
        let error = helper.store("s", &Credential::Access("t".into())).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }

    #[tokio::test]
    async fn reports_missing_and_stuck_helpers() {
        let missing = CredentialHelper::new("missing", None).unwrap();
        assert_eq!(
            missing.get("s").await.unwrap_err().chain(),
            "exec: \"docker-credential-missing\": executable file not found in $PATH"
        );
        assert_eq!(CredentialHelper::new("../x", None).unwrap_err().kind(), ErrorKind::InvalidInput);
        let (_directory, mut stuck) = helper("exec sleep 60");
        stuck.timeout = Duration::from_millis(50);
        let error = stuck.get("s").await.unwrap_err();
        assert_eq!(error.chain(), "docker-credential-test get: no answer within 50ms");
        // A helper that reads nothing, given more input than a pipe holds.
        let (_directory, lazy) = helper("echo '{}'");
        let password = Secret::from("x".repeat(1 << 20));
        lazy.store("s", &Credential::Basic { username: "u".into(), password }).await.unwrap();
    }
}
