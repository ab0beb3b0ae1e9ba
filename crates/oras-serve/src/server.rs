//! The listener, and what requests share.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use oras_store::{ReadStore, Store};
use tokio::net::{TcpListener, ToSocketAddrs};
use tokio::sync::Semaphore;

use crate::begun::Begun;
use crate::conditions::Writes;
use crate::connections::{Connections, GRACE};
use crate::error::Refusal;
use crate::failures::Failures;
use crate::health::Health;
use crate::manifest_memory::ManifestMemory;
use crate::manifests::LARGE_AT_ONCE;
use crate::metrics::Metrics;
use crate::needed::Needed;
use crate::options::Options;
use crate::reread::{Misconfigured, Reread};
use crate::rules::{ANONYMOUS, Rules};
use crate::sessions::{IDLE, MAX_SESSIONS, Sessions};
use crate::shares::Shares;
use crate::stores::Stores;
use crate::tls::{self, Certificate};
use crate::tokens::Tokens;
use crate::users::Users;
use crate::write_tasks::WriteTasks;
use crate::{challenge, dispatch, page};

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
    /// Whether it speaks TLS.
    pub(crate) secure: bool,
    pub(crate) users: Users,
    pub(crate) failures: Arc<Failures>,
    pub(crate) rules: Option<Reread<Rules>>,
    pub(crate) tokens: Tokens,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) health: Health,
    pub(crate) shares: Arc<Shares>,
    pub(crate) begun: Begun,
    pub(crate) write_tasks: WriteTasks,
    pub(crate) writes: Writes,
    pub(crate) manifest_memory: ManifestMemory,
    pub(crate) stores: Arc<dyn Stores>,
    pub(crate) sessions: Sessions,
    pub(crate) needed: Needed,
    /// Turns at making web pages.
    pub(crate) pages: Semaphore,
}

impl Server {
    /// Listens on `address`; port 0 is any free port. Requests are answered by [`Server::run`].
    ///
    /// # Errors
    /// An address that can't be listened on; a certificate or a key that can't be used; files of users or rules that are none; a
    /// public URL that is none.
    pub async fn bind(
        address: impl ToSocketAddrs,
        mut options: Options,
        stores: Arc<dyn Stores>,
    ) -> io::Result<Self> {
        let certificate = options.tls.take().map(tls::load).transpose()?;
        if let Some(url) = options.public_url.as_ref().filter(|url| !challenge::is_public_url(url)) {
            let message = format!("{url:?} is not a URL such as https://registry.example");
            return Err(Misconfigured(message).into());
        }
        let users = match options.htpasswd.take() {
            Some(path) => Users::file(path)?,
            None => Users::new(std::mem::take(&mut options.users)),
        };
        let rules = options.rules.take().map(Rules::file).transpose()?;
        if rules.is_some() && users.has(ANONYMOUS) {
            let message = format!("no user can be named {ANONYMOUS:?}: rules mean everybody by that");
            return Err(Misconfigured(message).into());
        }
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let sessions = Sessions::new(MAX_SESSIONS, IDLE);
        let shares = Arc::new(Shares::new(options.max_connections));
        let manifest_memory = ManifestMemory::new(LARGE_AT_ONCE * options.max_manifest_size);
        let registry = Arc::new(Registry {
            options,
            secure: certificate.is_some(),
            users,
            failures: Arc::default(),
            rules,
            tokens: Tokens::new()?,
            metrics: Arc::default(),
            health: Health::default(),
            shares,
            begun: Begun::default(),
            write_tasks: WriteTasks::default(),
            writes: Writes::new(),
            manifest_memory,
            stores,
            sessions,
            needed: Needed::default(),
            pages: Semaphore::new(page::AT_ONCE),
        });
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
        let connections = Connections {
            certificate: self.certificate,
            shares: Arc::clone(&self.registry.shares),
            metrics: Arc::clone(&self.registry.metrics),
            router: dispatch::router(Arc::clone(&self.registry)),
        };
        let mut stopped = Instant::now();
        let shutdown = async {
            shutdown.await;
            stopped = Instant::now();
        };
        tokio::select! {
            () = connections.accept(self.listener, shutdown) => (),
            () = self.registry.maintain() => (),
        }
        // Writes of clients that have disconnected are finished, too.
        let left = GRACE.saturating_sub(stopped.elapsed());
        drop(tokio::time::timeout(left, self.registry.write_tasks.finish()).await);
        tracing::info!(address = %self.address, "stopped");
        Ok(())
    }

    /// Says what others on the network can do.
    fn warn(&self) {
        let rules = self.registry.rules.as_ref().map(Reread::current);
        for user in rules.iter().flat_map(|rules| rules.users()).filter(|name| !self.registry.users.has(name))
        {
            tracing::warn!(user, "the rules name a user who is none");
        }
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
    /// Lets the stores put themselves in order, now and then; does not end.
    async fn maintain(&self) {
        loop {
            tokio::time::sleep(self.options.maintenance).await;
            if !self.options.read_only {
                self.stores.maintain(&self.needed).await;
            }
        }
    }

    /// The store of a repository that must be there, for reading.
    pub(crate) async fn store(&self, name: &str) -> Result<Arc<dyn ReadStore>, Refusal> {
        found(name, self.stores.repository(name).await)
    }

    /// The same, for a request that asks for a blob.
    pub(crate) async fn blobs(&self, name: &str) -> Result<Arc<dyn ReadStore>, Refusal> {
        found(name, self.stores.blobs(name).await)
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
