//! A registry server: binds, serves and shuts down.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use tokio::net::{TcpListener, ToSocketAddrs};

use crate::connections::{Connections, GRACE};
use crate::ops::tls_certificate::{self, Certificate};
use crate::registry::Registry;
use crate::server_options::ServerOptions;
use crate::stores::Stores;

/// A registry server that listens on an address. A program that has a server of its own uses a
/// [`Registry`](crate::Registry) instead.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    certificate: Option<Certificate>,
    registry: Registry,
}

impl Server {
    /// Listens on `address`; port 0 is any free port. Requests are answered by [`Server::run`].
    ///
    /// # Errors
    /// Fails if it can't listen on the address; with [`Misconfigured`](crate::Misconfigured) inside if the certificate,
    /// its key, the file of users, the file of rules, the public URL or the base path can't be used.
    pub async fn bind(
        address: impl ToSocketAddrs,
        options: ServerOptions,
        stores: Arc<dyn Stores>,
    ) -> io::Result<Self> {
        // Reads the files before it binds the port: a misconfigured server never accepts a connection.
        let (certificate, registry) = prepare(options, stores)?;
        let listener = TcpListener::bind(address).await?;
        Self::of(listener, certificate, registry)
    }

    /// Uses a listener of the caller: one with socket options, or one that a supervisor passed to the process. Requests
    /// are answered by [`Server::run`].
    ///
    /// # Errors
    /// The errors of [`Server::bind`] except those of the address.
    pub fn from_listener(
        listener: TcpListener,
        options: ServerOptions,
        stores: Arc<dyn Stores>,
    ) -> io::Result<Self> {
        let (certificate, registry) = prepare(options, stores)?;
        Self::of(listener, certificate, registry)
    }

    fn of(listener: TcpListener, certificate: Option<Certificate>, registry: Registry) -> io::Result<Self> {
        let address = listener.local_addr()?;
        Ok(Self { listener, address, certificate, registry })
    }

    /// Returns the address on which the server listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests until `shutdown` is ready, then finishes running requests, for at most ten seconds. Dropping
    /// the future ends all requests at once.
    ///
    /// # Errors
    /// Currently none: the server logs a connection that fails or can't be accepted.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> io::Result<()> {
        tracing::info!(address = %self.address, tls = self.certificate.is_some(), "listening");
        self.warn_of_risks();
        let state = Arc::clone(&self.registry.state);
        let connections = Connections { certificate: self.certificate, registry: state };
        let mut stopped = Instant::now();
        let shutdown = async {
            shutdown.await;
            stopped = Instant::now();
        };
        // `maintain` never returns. When `accept` returns, the select cancels running maintenance.
        tokio::select! {
            () = connections.accept(self.listener, shutdown) => (),
            never = self.registry.maintain() => match never {},
        }
        // Writes of clients that have disconnected may still run. They share the grace period with the connections.
        let left = GRACE.saturating_sub(stopped.elapsed());
        if tokio::time::timeout(left, self.registry.finish_writes()).await.is_err() {
            tracing::warn!("writes did not end in time");
            self.registry.state.write_tasks.abort();
        }
        tracing::info!(address = %self.address, "stopped");
        Ok(())
    }

    /// Logs warnings about unknown users in rules, and about risks on the network.
    fn warn_of_risks(&self) {
        let access = &self.registry.state.access;
        for user in access.unknown_users() {
            tracing::warn!(user, "unknown user in rules");
        }
        // Only local programs reach a loopback address, so the warnings below do not apply to it.
        if self.address.ip().is_loopback() {
            return;
        }
        if !access.has_users() && !self.registry.state.options.read_only {
            tracing::warn!(
                "every client that reaches this server may write to it, because there are no users"
            );
        }
        if access.has_users() && self.certificate.is_none() {
            tracing::warn!("passwords cross the network unencrypted, because there is no certificate");
        }
    }
}

/// Loads the certificate, and makes the registry.
fn prepare(
    mut options: ServerOptions,
    stores: Arc<dyn Stores>,
) -> io::Result<(Option<Certificate>, Registry)> {
    let certificate = options.tls.take().map(tls_certificate::load).transpose()?;
    let scheme = if certificate.is_some() { "https" } else { "http" };
    let registry = Registry::with_scheme(options, Some(scheme), stores)?;
    Ok((certificate, registry))
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}
