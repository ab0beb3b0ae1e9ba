//! A registry that is read through a server, and whether it answers.

use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use oras_remote::{AddressRefused, Client, Repository, ResponseError};
use oras_spec::Reference;
use oras_spec::reference::{check_registry, check_repository};
use oras_store::{Error, Kind, Result};
use parking_lot::Mutex;

use super::{LOG_TARGET, ProxyOptions};

/// For so long an upstream that could not be reached is not asked for what is here: every client would wait.
const PAUSE: Duration = Duration::from_secs(5);

/// A registry that is read through the server.
pub(super) struct Upstream {
    host: String,
    prefix: String,
    /// Whether names have the prefix here.
    several: bool,
    client: Client,
    /// When it could not be reached, until it can.
    silent: Mutex<Option<Instant>>,
}

/// Why an upstream did not tell what it was asked.
pub(super) struct Failure {
    /// As clients may see it; what caused it is in the log.
    pub(super) error: Error,
    /// Whether it could not be reached, or had trouble of its own: what it said before may still hold.
    pub(super) away: bool,
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        failure.error
    }
}

impl Upstream {
    pub(super) fn new(host: String, several: bool, client: Client) -> Result<Self> {
        check_registry(&host)?;
        let prefix = ProxyOptions::prefix(&host);
        if several && check_repository(&prefix).is_err() {
            let message =
                format!("{host} can't be one of several registries: no repository's name begins so");
            return Err(Error::new(Kind::InvalidInput, message));
        }
        Ok(Self { host, prefix, several, client, silent: Mutex::default() })
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// What its repository that is called `name` here is called there, if it is one.
    pub(super) fn there<'a>(&self, name: &'a str) -> Option<&'a str> {
        if self.several { name.strip_prefix(&self.prefix)?.strip_prefix('/') } else { Some(name) }
    }

    /// What its repository `name` is called here.
    pub(super) fn here(&self, name: &str) -> String {
        if self.several { format!("{}/{name}", self.prefix) } else { name.to_owned() }
    }

    /// Its repository `name`.
    pub(super) fn repository(&self, name: &str) -> Result<Repository> {
        let (registry, repository) = (self.host.clone(), name.to_owned());
        Repository::new(&self.client, &Reference { registry, repository, tag: None, digest: None })
    }

    /// The largest manifest that is read.
    pub(super) fn max_manifest_size(&self) -> u64 {
        self.client.options().max_manifest_size
    }

    /// Whether it could not be reached a moment ago.
    pub(super) fn is_silent(&self) -> bool {
        self.silent.lock().is_some_and(|since| since.elapsed() < PAUSE)
    }

    /// What comes of asking it about `name`, within `patience` if there is a limit.
    pub(super) async fn ask<T>(
        &self,
        name: &str,
        patience: Option<Duration>,
        work: BoxFuture<'_, Result<T>>,
    ) -> Result<T, Failure> {
        let answer = match patience {
            Some(patience) => tokio::time::timeout(patience, work).await.unwrap_or_else(|_| {
                Err(Error::new(Kind::Network, format!("no answer within {} s", patience.as_secs())))
            }),
            None => work.await,
        };
        match answer {
            Ok(answer) => {
                self.answered();
                Ok(answer)
            }
            Err(error) => Err(self.failed(name, error)),
        }
    }

    /// What clients are told of an error of the upstream.
    pub(super) fn failed(&self, name: &str, error: Error) -> Failure {
        let status = error.find::<ResponseError>().map(|response| response.status);
        let away = match status {
            Some(status) => matches!(status, 408 | 429 | 500..),
            None => error.kind() == Kind::Network,
        };
        if error.kind() == Kind::NotFound && !away {
            self.answered();
            return Failure { error, away };
        }
        // Told once as long as it can't be reached.
        if !(away && self.is_silent()) {
            let error = error.chain();
            tracing::warn!(target: LOG_TARGET, repository = name, %error, "an upstream failed");
        }
        let host = &self.host;
        let (kind, message) = match error.kind() {
            _ if status == Some(429) => (
                Kind::Network,
                format!("the upstream {host} takes no more requests now, and what was asked for is not here"),
            ),
            _ if away => (
                Kind::Network,
                format!("the upstream {host} does not answer, and what was asked for is not here"),
            ),
            Kind::Denied if error.find::<AddressRefused>().is_some() => {
                (Kind::Network, format!("the upstream {host} leads to an address that is not allowed"))
            }
            Kind::Unauthorized | Kind::Denied => {
                (Kind::Denied, format!("the upstream {host} does not let this server read {name}"))
            }
            // What does not fit its digest is the fault of the upstream, not of the client.
            _ => (Kind::Network, format!("the upstream {host} gave no answer that could be used")),
        };
        // Whoever makes a registry fail must not keep others from hearing of it.
        if away && status.is_none() {
            *self.silent.lock() = Some(Instant::now());
        }
        Failure { error: Error::new(kind, message).with_source(error), away }
    }

    fn answered(&self) {
        self.silent.lock().take();
    }
}
