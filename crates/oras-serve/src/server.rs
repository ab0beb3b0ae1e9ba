//! A registry server: binds, serves and shuts down.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use tokio::net::{TcpListener, ToSocketAddrs};

use crate::auth::challenge;
use crate::connections::{Connections, GRACE};
use crate::ops::config_file::Misconfigured;
use crate::ops::tls_certificate::{self, Certificate};
use crate::registry::Registry;
use crate::server_options::ServerOptions;
use crate::stores::Stores;

/// A registry server that listens on an address.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    certificate: Option<Certificate>,
    registry: Arc<Registry>,
}

impl Server {
    /// Listens on `address`; port 0 is any free port. Requests are answered by [`Server::run`].
    ///
    /// # Errors
    /// Fails if it can't listen on the address; with [`Misconfigured`] inside if the certificate, its key, the file of
    /// users, the file of rules or the public URL can't be used.
    pub async fn bind(
        address: impl ToSocketAddrs,
        mut options: ServerOptions,
        stores: Arc<dyn Stores>,
    ) -> io::Result<Self> {
        let certificate = options.tls.take().map(tls_certificate::load).transpose()?;
        if let Some(url) = options.public_url.as_ref().filter(|url| !challenge::is_public_url(url)) {
            let message = format!("{url:?} is not a URL such as https://registry.example");
            return Err(Misconfigured(message).into());
        }
        // Reads the files before it binds the port: a misconfigured server never accepts a connection.
        let registry = Arc::new(Registry::new(options, certificate.is_some(), stores)?);
        let listener = TcpListener::bind(address).await?;
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
        let connections = Connections { certificate: self.certificate, registry: Arc::clone(&self.registry) };
        let mut stopped = Instant::now();
        let shutdown = async {
            shutdown.await;
            stopped = Instant::now();
        };
        // `maintain` never returns. When `accept` returns, the select cancels running maintenance.
        tokio::select! {
            () = connections.accept(self.listener, shutdown) => (),
            () = maintain(&self.registry) => (),
        }
        // Writes of clients that have disconnected may still run. They share the grace period with the connections.
        let left = GRACE.saturating_sub(stopped.elapsed());
        drop(tokio::time::timeout(left, self.registry.write_tasks.finish()).await);
        tracing::info!(address = %self.address, "stopped");
        Ok(())
    }

    /// Logs warnings about unknown users in rules, and about risks on the network.
    fn warn_of_risks(&self) {
        let access = &self.registry.access;
        for user in access.unknown_users() {
            tracing::warn!(user, "unknown user in rules");
        }
        // Only local programs reach a loopback address, so the warnings below do not apply to it.
        if self.address.ip().is_loopback() {
            return;
        }
        if !access.has_users() && !self.registry.options.read_only {
            tracing::warn!(
                "every client that reaches this server may write to it, because there are no users"
            );
        }
        if access.has_users() && self.certificate.is_none() {
            tracing::warn!("passwords cross the network unencrypted, because there is no certificate");
        }
    }
}

/// Runs the maintenance of the stores at intervals, forever: garbage collection and the deletion of stale files.
async fn maintain(registry: &Registry) {
    loop {
        tokio::time::sleep(registry.options.maintenance).await;
        // A read-only server must not change any file, so it does not collect garbage either.
        if !registry.options.read_only {
            registry.stores.maintain(&registry.digests_in_use).await;
        }
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}
