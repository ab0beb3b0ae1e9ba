//! A registry without a server of its own, for programs that embed it.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use tower_service::Service;

use crate::api::router;
use crate::http_message::{Body, received};
use crate::limits::connection_activity::{ConnectionActivity, Peer};
use crate::ops::config_file::Misconfigured;
use crate::registry_state::RegistryState;
use crate::server_options::ServerOptions;
use crate::stores::Stores;

/// A registry that a program serves beside its own routes. Clones are cheap and share all state.
///
/// It is a [`Service`], so any program on tower or axum can mount it, and any program on hyper through
/// `hyper_util::service::TowerToHyperService`; with the feature `axum`, `Registry::router` returns its routes. Use
/// [`Server`](crate::Server) if the registry can have a port of its own.
///
/// # Base path
/// The distribution-spec ("Endpoints") has all endpoints below `/v2/` at the root of the host, and references to
/// artifacts have no place for a prefix. Clients such as `docker` and `oras` therefore reach a registry below a prefix
/// only through a proxy that maps `/v2/` to it, and passes paths with the prefix as they are. Some clients can be
/// configured, for example containerd with `override_path`.
///
/// [`ServerOptions::base_path`] is the prefix that clients see: every address in a response begins with it. Requests
/// are accepted with it, and also without it, because a router such as axum's `nest` removes it.
///
/// # What an embedded registry has, and what it lacks
/// The registry enforces the limits of requests: a minimum rate for bodies, the number of open uploads and of writes
/// per client, the memory for large manifests, and the delay after wrong passwords. It checks users and rules, writes
/// the access log and counts requests. It needs a Tokio runtime with its timers enabled.
///
/// All else belongs to the server that accepts the connections, and only [`Server`](crate::Server) has it: TLS, the
/// timeouts of handshakes, heads and writes, the size limits of heads, the limit of connections and its shares for
/// clients, and the end of connections at shutdown. The metrics of connections and bytes stay 0.
///
/// The registry distinguishes clients that have not logged in by their addresses. Pass them to
/// [`Registry::respond`], or serve the routes with axum's `into_make_service_with_connect_info::<SocketAddr>()`.
/// Otherwise all of these clients share the limits of one client, including the delay after wrong passwords.
///
/// A registry with users asks clients to get a token from `/token` only if it knows the full address of it: from
/// [`ServerOptions::public_url`], or from the request over HTTP/2. Otherwise it asks for the password with each
/// request.
///
/// The program itself runs [`Registry::maintain`], and awaits [`Registry::finish_writes`] before it exits.
///
/// # Examples
/// ```
/// use std::sync::Arc;
///
/// use http_body_util::{Empty, BodyExt};
/// use oras_memory::Memory;
/// use oras_serve::{PerRepository, Registry, ServerOptions};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// let stores = PerRepository::new(|_| async { Ok(Arc::new(Memory::new()) as _) });
/// let registry = Registry::new(ServerOptions::default().base_path("/registry"), Arc::new(stores))?;
/// let request = http::Request::get("/registry/v2/_catalog").body(Empty::new())?;
/// let response = registry.respond(request, None).await;
/// assert_eq!(response.into_body().collect().await?.to_bytes(), r#"{"repositories":[]}"#);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Registry {
    pub(crate) state: Arc<RegistryState>,
}

impl Registry {
    /// Makes a registry over `stores`, and reads the files of users and rules.
    ///
    /// # Errors
    /// Fails with [`Misconfigured`] inside if the file of users, the file of rules, the public URL or the base path
    /// can't be used, or if `options` has a certificate, which only a [`Server`](crate::Server) can present.
    pub fn new(options: ServerOptions, stores: Arc<dyn Stores>) -> io::Result<Self> {
        if options.tls.is_some() {
            let message =
                "a registry without a server has no connections for which it could use a certificate";
            return Err(Misconfigured(message.to_owned()).into());
        }
        Self::with_scheme(options, None, stores)
    }

    /// Makes a registry whose requests all have `scheme`.
    pub(crate) fn with_scheme(
        options: ServerOptions,
        scheme: Option<&'static str>,
        stores: Arc<dyn Stores>,
    ) -> io::Result<Self> {
        Ok(Self { state: Arc::new(RegistryState::new(options, scheme, stores)?) })
    }

    /// Answers one request of the client at `peer`. The path may begin with the base path or not.
    ///
    /// A request for an address that the registry does not have gets a 404.
    ///
    /// Dropping the future interrupts a read. A write whose body has arrived continues in a task of its own
    /// ([`Registry::finish_writes`]).
    pub fn respond<B>(
        &self,
        request: http::Request<B>,
        peer: Option<SocketAddr>,
    ) -> impl Future<Output = http::Response<Body>> + Send + use<B>
    where
        B: hyper::body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let address = peer.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
        let peer = Peer { address, activity: Arc::new(ConnectionActivity::new()) };
        router::serve(Arc::clone(&self.state), peer, request.map(received))
    }

    /// Returns the routes of the registry, for `Router::merge` or, with [`ServerOptions::base_path`], `Router::nest`.
    ///
    /// The routes are `/v2` and all paths below it, and `/token`; with [`ServerOptions::status_endpoints`] also
    /// `/metrics`, `/healthz` and `/readyz`; with [`ServerOptions::page`] and the feature `page` also `/` and all paths
    /// below `/-/`. Every other path is left to the program. With `Router::nest_service`, a [`Registry`] also answers
    /// all other paths below the prefix, with a 404.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use axum::{Router, routing::get};
    /// use oras_memory::Memory;
    /// use oras_serve::{PerRepository, Registry, ServerOptions};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let stores = PerRepository::new(|_| async { Ok(Arc::new(Memory::new()) as _) });
    /// let registry = Registry::new(ServerOptions::default().base_path("/registry"), Arc::new(stores))?;
    /// let app: Router = Router::new()
    ///     .route("/", get(async || "a page of the program"))
    ///     .nest("/registry", registry.router());
    /// # drop(app);
    /// # Ok(()) }
    /// ```
    #[cfg(feature = "axum")]
    pub fn router(&self) -> axum::Router {
        use crate::api::endpoint::{LIVE_PATH, METRICS_PATH, READY_PATH, TOKEN_PATH};

        let options = &self.state.options;
        let mut paths = vec!["/v2", "/v2/", "/v2/{*path}", TOKEN_PATH];
        if options.status_endpoints {
            paths.extend([METRICS_PATH, LIVE_PATH, READY_PATH]);
        }
        if cfg!(feature = "page") && options.page {
            paths.extend(["/", "/-/{*path}"]);
        }
        paths.into_iter().fold(axum::Router::new(), |router, path| router.route_service(path, self.clone()))
    }

    /// Runs [`Stores::maintain`] at the intervals of [`ServerOptions::maintenance`], forever. Does nothing if the
    /// registry is read-only.
    ///
    /// Run it beside the program's server, for example in a `tokio::select!`. Dropping the future stops it. Without
    /// it, stores that collect garbage never do so. A [`Server`](crate::Server) runs it itself.
    pub async fn maintain(&self) -> Infallible {
        let state = &self.state;
        loop {
            tokio::time::sleep(state.options.maintenance).await;
            // A read-only server must not change any file, so it does not collect garbage either.
            if !state.options.read_only {
                state.stores.maintain(&state.digests_in_use).await;
            }
        }
    }

    /// Waits until no write is running, including those of clients that have disconnected. Dropping the future does not
    /// cancel them.
    ///
    /// Await it after the program's server has stopped, with a timeout of your own. A runtime that ends earlier cancels
    /// these writes, which leaves no partial content.
    pub async fn finish_writes(&self) {
        self.state.write_tasks.finish().await;
    }
}

impl<B> Service<http::Request<B>> for Registry
where
    B: hyper::body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    /// Is always ready: requests that exceed a limit get a response.
    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    /// Answers a request as [`Registry::respond`] does. With the feature `axum`, the address of the client is that of
    /// axum's `ConnectInfo<SocketAddr>`; otherwise it is unknown.
    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let peer = peer_of(request.extensions());
        self.respond(request, peer).map(Ok).boxed()
    }
}

#[cfg(feature = "axum")]
fn peer_of(extensions: &http::Extensions) -> Option<SocketAddr> {
    extensions.get::<axum::extract::ConnectInfo<SocketAddr>>().map(|info| info.0)
}

#[cfg(not(feature = "axum"))]
fn peer_of(_extensions: &http::Extensions) -> Option<SocketAddr> {
    None
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").field("options", &self.state.options).finish_non_exhaustive()
    }
}
