//! The listener, and what requests share.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use oras_store::{ReadStore, Store};
use tokio::net::{TcpListener, ToSocketAddrs};
use tokio::sync::Semaphore;

use crate::error::Refusal;
use crate::options::Options;
use crate::sessions::{IDLE, MAX_SESSIONS, Sessions};
use crate::stores::Stores;
use crate::tls::Certificate;
use crate::users::Users;
use crate::{connections, dispatch, page};

/// A registry that listens.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    certificate: Option<Certificate>,
    registry: Arc<Registry>,
}

/// What requests share.
pub(crate) struct Registry {
    pub(crate) options: Options,
    pub(crate) users: Users,
    pub(crate) stores: Arc<dyn Stores>,
    pub(crate) sessions: Sessions,
    /// Whether it speaks TLS.
    pub(crate) secure: bool,
    /// Turns at making web pages.
    pub(crate) pages: Semaphore,
}

impl Server {
    /// Listens on `address`; port 0 is any free port. Requests are answered by [`Server::run`].
    ///
    /// # Errors
    /// An address that can't be listened on; a certificate or a key that can't be used.
    pub async fn bind(
        address: impl ToSocketAddrs,
        mut options: Options,
        stores: Arc<dyn Stores>,
    ) -> io::Result<Self> {
        let certificate = options.tls.take().map(Certificate::load).transpose()?;
        let users = Users::new(std::mem::take(&mut options.users));
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let sessions = Sessions::new(MAX_SESSIONS, IDLE);
        let secure = certificate.is_some();
        let pages = Semaphore::new(page::AT_ONCE);
        let registry = Arc::new(Registry { options, users, stores, sessions, secure, pages });
        Ok(Self { listener, address, certificate, registry })
    }

    /// The address it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests until `shutdown` is done, then finishes those under way, for ten seconds at most. Dropping
    /// the future ends everything at once.
    ///
    /// # Errors
    /// None yet: a connection that fails is logged, and so is one that can't be accepted.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> io::Result<()> {
        tracing::info!(address = %self.address, tls = self.certificate.is_some(), "listening");
        self.warn();
        connections::accept(self.listener, self.certificate, dispatch::router(self.registry), shutdown).await;
        tracing::info!(address = %self.address, "stopped");
        Ok(())
    }

    /// Says what others on the network can do.
    fn warn(&self) {
        if self.address.ip().is_loopback() {
            return;
        }
        if self.registry.users.is_empty() && !self.registry.options.read_only {
            tracing::warn!("whoever reaches this server may write to it: there are no users");
        }
        if !self.registry.users.is_empty() && self.certificate.is_none() {
            tracing::warn!("passwords cross the network in the clear: there is no certificate");
        }
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Registry {
    /// The store of a repository that must be there, for reading.
    pub(crate) async fn store(&self, name: &str) -> Result<Arc<dyn ReadStore>, Refusal> {
        found(name, self.stores.repository(name).await)
    }

    /// The store of a repository that is written to; made if it is not there and `create` is set.
    pub(crate) async fn writable(&self, name: &str, create: bool) -> Result<Arc<dyn Store>, Refusal> {
        found(name, self.stores.writable(name, create).await)
    }
}

fn found<T>(name: &str, store: oras_store::Result<Option<T>>) -> Result<T, Refusal> {
    let store = store.map_err(|error| Refusal::of(&error, Refusal::blob_unknown))?;
    store.ok_or_else(|| Refusal::name_unknown(name))
}
