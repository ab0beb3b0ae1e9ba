//! Where the repositories of a server are kept.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use futures::future::BoxFuture;
use oras_store::{ReadStore, Result, Store};

/// The repositories of a server.
#[async_trait]
pub trait Stores: Send + Sync {
    /// The store of a repository, for reading; `None` if there is no such repository. The name follows the grammar of
    /// the distribution-spec: no part of it is empty, `.` or `..`.
    async fn repository(&self, name: &str) -> Result<Option<Arc<dyn ReadStore>>>;

    /// The store of a repository, for writing and deleting; makes one if there is none and `create` is set.
    ///
    /// # Errors
    /// [`Kind::Unsupported`](oras_store::Kind::Unsupported) where nothing can be written; `InvalidInput` for a name that can't be kept.
    async fn writable(&self, name: &str, create: bool) -> Result<Option<Arc<dyn Store>>>;

    /// The names of all repositories, sorted.
    async fn repositories(&self) -> Result<Vec<String>>;

    /// Whether it works: can be read and, if `writes`, be written. By default it does.
    async fn check(&self, _writes: bool) -> Result<()> {
        Ok(())
    }
}

type Factory = Box<dyn Fn(String) -> BoxFuture<'static, Result<Arc<dyn Store>>> + Send + Sync>;

/// One store per repository, each made when it is first written to.
pub struct PerRepository {
    make: Factory,
    /// A repository that is known to exist but was not asked for yet has no store.
    stores: tokio::sync::Mutex<BTreeMap<String, Option<Arc<dyn Store>>>>,
}

impl PerRepository {
    /// Repositories whose stores `make` makes from their names.
    pub fn new<F, Fut>(make: F) -> Self
    where
        F: Fn(String) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Arc<dyn Store>>> + Send + 'static,
    {
        Self { make: Box::new(move |name| Box::pin(make(name))), stores: tokio::sync::Mutex::default() }
    }

    /// The same, with repositories that exist already; their stores are made when they are asked for.
    #[must_use]
    pub fn with_existing(mut self, names: impl IntoIterator<Item = String>) -> Self {
        self.stores.get_mut().extend(names.into_iter().map(|name| (name, None)));
        self
    }
}

impl std::fmt::Debug for PerRepository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PerRepository").finish_non_exhaustive()
    }
}

#[async_trait]
impl Stores for PerRepository {
    async fn repository(&self, name: &str) -> Result<Option<Arc<dyn ReadStore>>> {
        Ok(self.writable(name, false).await?.map(|store| store as _))
    }

    async fn writable(&self, name: &str, create: bool) -> Result<Option<Arc<dyn Store>>> {
        let mut stores = self.stores.lock().await;
        match stores.get(name) {
            Some(Some(store)) => return Ok(Some(Arc::clone(store))),
            None if !create => return Ok(None),
            Some(None) | None => {}
        }
        let store = (self.make)(name.to_owned()).await?;
        stores.insert(name.to_owned(), Some(Arc::clone(&store)));
        Ok(Some(store))
    }

    async fn repositories(&self) -> Result<Vec<String>> {
        Ok(self.stores.lock().await.keys().cloned().collect())
    }
}
