//! The listener, and what requests share.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, ToSocketAddrs};

use crate::error::Refusal;
use crate::options::Options;
use crate::sessions::{IDLE, MAX_SESSIONS, Sessions};
use crate::stores::{ServedStore, Stores};
use crate::{connections, dispatch};

/// A registry that listens.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    registry: Arc<Registry>,
}

/// What requests share.
pub(crate) struct Registry {
    pub(crate) options: Options,
    pub(crate) stores: Arc<dyn Stores>,
    pub(crate) sessions: Sessions,
}

impl Server {
    /// Listens on `address`; port 0 is any free port. Requests are answered by [`Server::run`].
    ///
    /// # Errors
    /// An address that can't be listened on.
    pub async fn bind(
        address: impl ToSocketAddrs,
        options: Options,
        stores: Arc<dyn Stores>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let registry = Arc::new(Registry { options, stores, sessions: Sessions::new(MAX_SESSIONS, IDLE) });
        Ok(Self { listener, address, registry })
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
        tracing::info!(address = %self.address, "listening");
        connections::accept(self.listener, dispatch::router(self.registry), shutdown).await;
        tracing::info!(address = %self.address, "stopped");
        Ok(())
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Registry {
    /// The store of a repository that must be there.
    pub(crate) async fn store(&self, name: &str) -> Result<Arc<dyn ServedStore>, Refusal> {
        let store = self.stores.repository(name, false).await;
        let store = store.map_err(|error| Refusal::of(&error, Refusal::blob_unknown))?;
        store.ok_or_else(|| Refusal::name_unknown(name))
    }

    /// The store of a repository that is written to.
    pub(crate) async fn store_for_writing(&self, name: &str) -> Result<Arc<dyn ServedStore>, Refusal> {
        let store = self.stores.repository(name, true).await;
        let store = store.map_err(|error| Refusal::of(&error, Refusal::blob_unknown))?;
        store.ok_or_else(|| Refusal::name_unknown(name))
    }
}
