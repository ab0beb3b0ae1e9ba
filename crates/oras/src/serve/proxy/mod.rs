//! A caching proxy of other registries (distribution-spec, main, "Registry Proxying").

mod blob_download;
mod proxied_repository;
mod proxy_stores;
mod upstream;

use oras_remote::ClientOptions;
pub(super) use proxy_stores::Proxy;

/// The target of log events about upstreams: part of the server's log, as users see it.
const LOG_TARGET: &str = "oras_serve::proxy";

/// The registries of which a server is a proxy. With these options, clients pull through a cache near to them:
///
/// ```no_run
/// use std::time::Duration;
///
/// use oras::remote::ClientOptions;
/// use oras::{GarbageCollection, ProxyOptions, ServeFrom, ServeOptions};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let proxy = ProxyOptions::new(["ghcr.io", "localhost:5000"], ClientOptions::default());
/// assert_eq!(ProxyOptions::prefix("localhost:5000"), "localhost_5000");
/// let hour = Duration::from_secs(3600);
/// let options = ServeOptions::new("127.0.0.1:8080", ServeFrom::Path("./cache".into()))
///     .proxy(proxy)
///     .garbage_collection(GarbageCollection::new(hour, 24 * hour).untagged(true));
/// oras::serve(options).await?.run(std::future::pending()).await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ProxyOptions {
    /// The hosts of the upstreams, such as `ghcr.io` or `localhost:5000`. The repositories of a single upstream keep
    /// their names; with several, the names begin with [the prefix of their upstream](ProxyOptions::prefix).
    pub upstreams: Vec<String>,
    /// The client for the upstreams. Its mirrors are ignored, as one may be this server.
    pub client: ClientOptions,
}

impl ProxyOptions {
    /// Returns the options of a proxy of these hosts.
    pub fn new(upstreams: impl IntoIterator<Item = impl Into<String>>, client: ClientOptions) -> Self {
        Self { upstreams: upstreams.into_iter().map(Into::into).collect(), client }
    }

    /// Returns the prefix of the repositories of an upstream: its host in lower case, with `_` in place of the colon
    /// before a port, because names of repositories contain no colon.
    pub fn prefix(upstream: &str) -> String {
        upstream.to_ascii_lowercase().replace(':', "_")
    }
}
