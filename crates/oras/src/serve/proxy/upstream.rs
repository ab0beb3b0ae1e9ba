//! An upstream registry, and whether it is available.

use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use oras_remote::{AddressRefused, Client, Repository, ResponseError};
use oras_spec::Reference;
use oras_spec::reference::{check_registry, check_repository};
use oras_store::{Error, ErrorKind, Result};
use parking_lot::Mutex;

use super::{LOG_TARGET, ProxyOptions};

/// After a failed connection, cached content is served for this long without a request to the upstream. Otherwise every
/// client would wait for the timeout.
const UNAVAILABLE_PERIOD: Duration = Duration::from_secs(5);

/// An upstream registry.
pub(super) struct Upstream {
    pub(super) host: String,
    pub(super) prefix: String,
    /// Whether local names begin with the prefix.
    has_prefix: bool,
    client: Client,
    /// When a connection last failed; `None` after a response.
    unavailable_since: Mutex<Option<Instant>>,
}

/// A failed request to an upstream.
pub(super) struct UpstreamError {
    /// The error for clients; the log contains its cause.
    pub(super) error: Error,
    /// True if the upstream could not be reached or returned a temporary error, so cached content may be served.
    pub(super) is_unavailable: bool,
}

impl From<UpstreamError> for Error {
    fn from(error: UpstreamError) -> Self {
        error.error
    }
}

impl Upstream {
    /// Creates an upstream, without connecting to it.
    pub(super) fn new(host: String, has_prefix: bool, client: Client) -> Result<Self> {
        check_registry(&host)?;
        let prefix = ProxyOptions::prefix(&host);
        if has_prefix && check_repository(&prefix).is_err() {
            let message =
                format!("{host} can't be one of several registries: no repository's name begins so");
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        Ok(Self { host, prefix, has_prefix, client, unavailable_since: Mutex::default() })
    }

    /// Returns the upstream's name for the local name `name`, or `None` for a repository of another upstream.
    pub(super) fn upstream_name<'a>(&self, name: &'a str) -> Option<&'a str> {
        if self.has_prefix { name.strip_prefix(&self.prefix)?.strip_prefix('/') } else { Some(name) }
    }

    /// Returns the local name of the upstream's repository `name`.
    pub(super) fn local_name(&self, name: &str) -> String {
        if self.has_prefix { format!("{}/{name}", self.prefix) } else { name.to_owned() }
    }

    /// Returns the upstream's repository `name`.
    pub(super) fn repository(&self, name: &str) -> Result<Repository> {
        let (registry, repository) = (self.host.clone(), name.to_owned());
        Repository::new(&self.client, &Reference { registry, repository, tag: None, digest: None })
    }

    /// Returns the size of the largest manifest that is read.
    pub(super) fn max_manifest_size(&self) -> u64 {
        self.client.options().max_manifest_size
    }

    /// Returns true if a connection failed within the last five seconds.
    pub(super) fn is_unavailable(&self) -> bool {
        self.unavailable_since.lock().is_some_and(|since| since.elapsed() < UNAVAILABLE_PERIOD)
    }

    /// Runs a request about the repository `name`, which fails after `timeout`.
    pub(super) async fn request<T>(
        &self,
        name: &str,
        timeout: Option<Duration>,
        request: BoxFuture<'_, Result<T>>,
    ) -> Result<T, UpstreamError> {
        let answer = match timeout {
            Some(timeout) => tokio::time::timeout(timeout, request).await.unwrap_or_else(|_| {
                Err(Error::new(ErrorKind::Network, format!("no answer within {} s", timeout.as_secs())))
            }),
            None => request.await,
        };
        answer.inspect(|_| self.set_available()).map_err(|error| self.convert_error(name, error))
    }

    /// Logs an error of the upstream and converts it to one for clients, without details.
    pub(super) fn convert_error(&self, name: &str, error: Error) -> UpstreamError {
        let status = error.find::<ResponseError>().map(|response| response.status);
        let is_unavailable = match status {
            // These statuses are temporary. Every other status is an answer about the content.
            Some(status) => matches!(status, 408 | 429 | 500..),
            None => error.kind() == ErrorKind::Network,
        };
        // A client must see that content does not exist, so this error is returned unchanged.
        if error.kind() == ErrorKind::NotFound && !is_unavailable {
            self.set_available();
            return UpstreamError { error, is_unavailable };
        }
        // Logged once while the upstream is unavailable.
        if !(is_unavailable && self.is_unavailable()) {
            let error = error.chain();
            tracing::warn!(target: LOG_TARGET, repository = name, %error, "an upstream failed");
        }
        let host = &self.host;
        let (kind, message) = match error.kind() {
            _ if status == Some(429) => (
                ErrorKind::Network,
                format!("the upstream {host} takes no more requests now, and what was asked for is not here"),
            ),
            _ if is_unavailable => (
                ErrorKind::Network,
                format!("the upstream {host} does not answer, and what was asked for is not here"),
            ),
            ErrorKind::Denied if error.find::<AddressRefused>().is_some() => {
                (ErrorKind::Network, format!("the upstream {host} leads to an address that is not allowed"))
            }
            ErrorKind::Unauthorized | ErrorKind::Denied => {
                (ErrorKind::Denied, format!("the upstream {host} does not let this server read {name}"))
            }
            // For example, the content does not match its digest. The upstream caused the error, not the client.
            _ => (ErrorKind::Network, format!("the upstream {host} gave no answer that could be used")),
        };
        // Only failed connections count: otherwise a client that provokes error responses could make other clients
        // receive cached content.
        if is_unavailable && status.is_none() {
            *self.unavailable_since.lock() = Some(Instant::now());
        }
        UpstreamError { error: Error::new(kind, message).with_source(error), is_unavailable }
    }

    fn set_available(&self) {
        self.unavailable_since.lock().take();
    }
}
