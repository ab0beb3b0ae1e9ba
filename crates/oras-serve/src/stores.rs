//! Where the repositories of a server are kept.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use futures::future::BoxFuture;
use oras_spec::Descriptor;
use oras_store::{ReadStore, Result, Store};

use crate::error::is_full;
use crate::needed::Needed;

/// The repositories of a server.
#[async_trait]
pub trait Stores: Send + Sync {
    /// The store of a repository, for reading; `None` if there is no such repository. The name follows the grammar of
    /// the distribution-spec: no part of it is empty, `.` or `..`.
    async fn repository(&self, name: &str) -> Result<Option<Arc<dyn ReadStore>>>;

    /// The same for a request that asks for a blob by its digest: what has that digest need not be looked for among the
    /// manifests. By default no difference.
    async fn blobs(&self, name: &str) -> Result<Option<Arc<dyn ReadStore>>> {
        self.repository(name).await
    }

    /// Returns true if the stores of [`Stores::repository`] resolve digests of manifests only. By default they resolve those
    /// of blobs, too, to nodes of the type `application/octet-stream`.
    fn resolves_manifests_only(&self) -> bool {
        false
    }

    /// What the repository `name` of the registry `namespace` is called here (distribution-spec, main, "Registry
    /// Proxying"); `None` where namespaces mean nothing, as by default: then `name` is what it says.
    ///
    /// # Errors
    /// [`Kind::NotFound`](oras_store::Kind::NotFound) for a registry that nothing is known of here.
    fn scoped(&self, _namespace: &str, _name: &str) -> Result<Option<String>> {
        Ok(None)
    }

    /// The store of a repository, for writing and deleting; makes one if there is none and `create` is set.
    ///
    /// # Errors
    /// [`Kind::Unsupported`](oras_store::Kind::Unsupported) where nothing can be written; `InvalidInput` for a name that can't be kept.
    async fn writable(&self, name: &str, create: bool) -> Result<Option<Arc<dyn Store>>>;

    /// The store of a repository in which uploads may be under way, though it may have nothing yet. By default that is the
    /// one that is there for writing.
    async fn uploading(&self, name: &str) -> Result<Option<Arc<dyn Store>>> {
        self.writable(name, false).await
    }

    /// Deletes a blob whose bytes were found to be damaged, if it can be had from elsewhere: then the next request for it
    /// gets other bytes. Returns true if it was deleted. By default it stays.
    async fn discard_damaged(&self, _name: &str, _blob: &Descriptor) -> bool {
        false
    }

    /// Gives back room that was kept on the disk, for a delete that needs some to write what stays. Returns true if there
    /// was some. By default there is none.
    fn release_room(&self) -> bool {
        false
    }

    /// Keeps room on the disk again, after a delete.
    async fn keep_room(&self) {}

    /// Puts all repositories in order, while requests are answered: called again and again as long as the server runs, at
    /// the intervals of [`Options::maintenance`](crate::Options::maintenance). By default nothing is done.
    ///
    /// What a request relies on is in `needed`, and must stay; so must what clients were told lately that it is there.
    async fn maintain(&self, _needed: &Needed) {}

    /// The names of all repositories, sorted.
    async fn repositories(&self) -> Result<Vec<String>>;

    /// Whether it works: can be read and, if `writes`, be written. By default it does.
    async fn check(&self, _writes: bool) -> Result<()> {
        Ok(())
    }
}

/// What is deleted from a repository.
#[derive(Clone, Copy)]
pub(crate) enum Doomed<'a> {
    Node(&'a Descriptor),
    Tag(&'a str),
}

/// Deletes from a repository. On a full disk this is tried again in the room that `stores` kept for it.
pub(crate) async fn delete(stores: &dyn Stores, store: &dyn Store, doomed: Doomed<'_>) -> Result<()> {
    let deleted = delete_once(store, doomed).await;
    if !deleted.as_ref().is_err_and(is_full) || !stores.release_room() {
        return deleted;
    }
    let deleted = delete_once(store, doomed).await;
    stores.keep_room().await;
    deleted
}

async fn delete_once(store: &dyn Store, doomed: Doomed<'_>) -> Result<()> {
    match doomed {
        Doomed::Node(node) => store.delete(node).await,
        Doomed::Tag(tag) => store.untag(tag).await,
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
