//! Stores that are made by a closure, one for each repository.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use futures::future::BoxFuture;
use oras_store::{ReadStore, Result, Store};

use crate::api::warnings::Warnings;
use crate::stores::Stores;

type Factory = Box<dyn Fn(String) -> BoxFuture<'static, Result<Arc<dyn Store>>> + Send + Sync>;

/// One store for each repository, made when the repository is first written. It is the simplest implementation of
/// [`Stores`], for stores that a closure can make from the name of the repository.
///
/// ```
/// use oras_layout::Layout;
/// use oras_serve::PerRepository;
/// use std::sync::Arc;
///
/// // One layout for each repository; `hello` exists already.
/// let stores = PerRepository::new(|name| async move {
///     let path = std::path::Path::new("/var/lib/example").join(name);
///     Ok(Arc::new(Layout::open_or_create(path).await?) as _)
/// });
/// let stores = stores.with_existing(["hello".to_owned()]);
/// # let _ = stores;
/// ```
pub struct PerRepository {
    make: Factory,
    /// The store of an existing repository is `None` until it is first opened.
    stores: tokio::sync::Mutex<BTreeMap<String, Option<Arc<dyn Store>>>>,
}

impl PerRepository {
    /// Creates an empty registry; `make` makes the store of a repository from its name.
    pub fn new<F, Fut>(make: F) -> Self
    where
        F: Fn(String) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Arc<dyn Store>>> + Send + 'static,
    {
        Self { make: Box::new(move |name| Box::pin(make(name))), stores: tokio::sync::Mutex::default() }
    }

    /// Adds repositories that exist already. Their stores are made when they are first opened.
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
    async fn repository(&self, name: &str, _warnings: &Warnings) -> Result<Option<Arc<dyn ReadStore>>> {
        Ok(self.writable(name, false).await?.map(|store| store as _))
    }

    async fn writable(&self, name: &str, create: bool) -> Result<Option<Arc<dyn Store>>> {
        // The lock is held while a store is made, so that two requests don't make two stores of one repository.
        let mut stores = self.stores.lock().await;
        match stores.get(name) {
            Some(Some(store)) => return Ok(Some(Arc::clone(store))),
            None if !create => return Ok(None),
            // An existing repository whose store is not open yet, or a new repository.
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
