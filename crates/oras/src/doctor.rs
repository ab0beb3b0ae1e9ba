//! Diagnoses the connection to a registry and the local configuration.

mod certificate;
mod local_checks;
mod registry_checks;

use std::path::PathBuf;
use std::sync::Arc;

use oras_remote::{ClientOptions, DockerConfig};
use oras_spec::{Platform, Reference};
use serde::Serialize;

/// The options of [`doctor`](fn@doctor). Use them to name the repository and the directories to check.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct DoctorOptions {
    /// The registry, repository or artifact to examine: `host`, `host/repository`, or with a tag or digest. `None` examines
    /// only this machine.
    pub reference: Option<String>,
    /// The options of the client.
    pub client: ClientOptions,
    /// The files with credentials, to report where the credential of the registry comes from. `None` if the client has
    /// credentials of another source.
    pub credentials: Option<Arc<DockerConfig>>,
    /// The directory of the cache.
    pub cache: Option<PathBuf>,
    /// The directory in which the client creates lock files, usually that for temporary files.
    pub locks: Option<PathBuf>,
}

impl DoctorOptions {
    oras_store::setters! {
        reference: impl Into<Option<String>> => reference.into();
        client: ClientOptions;
        credentials: Arc<DockerConfig> => Some(credentials);
        cache: impl Into<Option<PathBuf>> => cache.into();
        locks: impl Into<Option<PathBuf>> => locks.into();
    }
}

/// The result of [`doctor`](fn@doctor). It serializes to the JSON document of `--format json` and contains no secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Diagnosis {
    /// The version of ORAS.
    pub version: String,
    /// The operating system.
    pub os: String,
    /// The architecture, as in Go's `GOARCH`.
    pub architecture: String,
    /// The reference that was examined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The checks, in the order in which they were made.
    pub checks: Vec<Check>,
}

impl Diagnosis {
    /// Creates a diagnosis without checks.
    pub fn new(reference: Option<String>) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            os: std::env::consts::OS.to_owned(),
            architecture: Platform::host_architecture().to_owned(),
            reference,
            checks: Vec::new(),
        }
    }

    /// Returns true if at least one check failed.
    pub fn has_failed(&self) -> bool {
        self.checks.iter().any(|check| check.status == CheckStatus::Fail)
    }
}

/// One check. A display shows a line for each, and the hint below it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Check {
    /// The name, which stays the same in all versions, such as `clock`.
    pub name: &'static str,
    /// The result.
    pub status: CheckStatus,
    /// What was found.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

/// The result of a check. Only a failed check makes the diagnosis a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum CheckStatus {
    /// Nothing is wrong.
    Ok,
    /// Commands work, but something may surprise the user.
    Warn,
    /// Commands that need this fail.
    Fail,
    /// The check was not made.
    Skip,
}

impl Check {
    /// Makes a check without a problem.
    pub fn ok(name: &'static str, message: impl Into<String>) -> Self {
        Self { name, status: CheckStatus::Ok, message: message.into(), advice: None }
    }

    /// Makes a check that was not made. The message says why.
    pub fn skip(name: &'static str, message: impl Into<String>) -> Self {
        Self { status: CheckStatus::Skip, ..Self::ok(name, message) }
    }

    /// Makes a check with a warning.
    pub fn warn(name: &'static str, message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { status: CheckStatus::Warn, advice: Some(advice.into()), ..Self::ok(name, message) }
    }

    /// Makes a check that failed.
    pub fn fail(name: &'static str, message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { status: CheckStatus::Fail, advice: Some(advice.into()), ..Self::ok(name, message) }
    }
}

/// Examines the local configuration and, with a reference, the way to a registry: name resolution, connection,
/// certificates, clock, credentials, permissions, and the features of the registry.
///
/// It sends only requests that read, and makes each request once. A problem is a check with the status
/// [`CheckStatus::Fail`] and not an error. Checks that need an earlier one which failed are left out.
///
/// ```
/// use oras::{CheckStatus, DoctorOptions, doctor};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let found = doctor(DoctorOptions::default()).await;
/// assert!(!found.has_failed());
/// for check in found.checks.iter().filter(|check| check.status == CheckStatus::Warn) {
///     println!("{}: {}", check.name, check.message);
/// }
/// # }
/// ```
pub async fn doctor(options: DoctorOptions) -> Diagnosis {
    let mut found = Diagnosis::new(options.reference.clone());
    let built = format!("oras {} for {}/{}", found.version, found.os, found.architecture);
    found.checks.push(Check::ok("version", built));
    local_checks::examine(&options, &mut found.checks).await;
    if let Some(text) = &options.reference {
        match ExaminedName::parse(text) {
            Ok(name) => registry_checks::examine(&name, &options, &mut found.checks).await,
            Err(message) => found.checks.push(Check::fail(
                "reference",
                message,
                "Use <registry>, <registry>/<repository> or <registry>/<repository>:<tag>",
            )),
        }
    }
    found
}

/// The name of a registry, a repository or an artifact.
struct ExaminedName {
    registry: String,
    repository: Option<String>,
    /// The tag or the digest.
    target: Option<String>,
}

impl ExaminedName {
    fn parse(text: &str) -> Result<Self, String> {
        if !text.contains('/') {
            let checked = oras_spec::reference::check_registry(text);
            let registry = checked.map_err(|error| format!("{text:?}: {error}"))?.to_owned();
            return Ok(Self { registry, repository: None, target: None });
        }
        let reference: Reference = text.parse().map_err(|error| format!("{text:?}: {error}"))?;
        let target = reference.target();
        Ok(Self { registry: reference.registry, repository: Some(reference.repository), target })
    }
}
