//! Where a bundle is restored to.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use oras_layout::{Layout, LayoutFault};
use oras_store::{Error, ErrorKind, Result, Store};

use crate::repository_name::check_name;

type OpenStore = dyn Fn(String, bool) -> BoxFuture<'static, Result<Option<Arc<dyn Store>>>> + Send + Sync;

/// A place for many repositories, to which a bundle is restored. It is a registry, a directory of layouts, or stores of
/// the caller.
#[derive(Clone)]
pub struct BundleTarget {
    open: Arc<OpenStore>,
}

impl BundleTarget {
    /// Restores to stores of the caller: `open` returns the store of the repository with the given name. If the second
    /// argument is false, `open` must not create a store, and returns `None` if there is none.
    pub fn new<F>(open: impl Fn(String, bool) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Option<Arc<dyn Store>>>> + Send + 'static,
    {
        Self { open: Arc::new(move |name, create| open(name, create).boxed()) }
    }

    /// Restores to a directory with one OCI layout for each repository, whose path is its name. `oras serve` serves
    /// such a directory.
    pub fn directory(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self::new(move |name, create| {
            let path = path.join(&name);
            async move {
                check_name(&name)?;
                let layout = match create {
                    true => Layout::open_or_create(path).await,
                    false => Layout::open(path).await,
                };
                match layout {
                    Ok(layout) => Ok(Some(Arc::new(layout) as Arc<dyn Store>)),
                    Err(error) if !create && is_absent(&error) => Ok(None),
                    Err(error) => Err(error),
                }
            }
        })
    }

    /// Restores to repositories of `registry`, such as `localhost:5000`.
    #[cfg(feature = "remote")]
    pub fn registry(client: &oras_remote::Client, registry: impl Into<String>) -> Self {
        let (client, registry) = (client.clone(), registry.into());
        Self::new(move |repository, _| {
            let reference =
                oras_spec::Reference { registry: registry.clone(), repository, tag: None, digest: None };
            let opened = oras_remote::Repository::new(&client, &reference);
            async move { Ok(Some(Arc::new(opened?) as Arc<dyn Store>)) }
        })
    }

    /// Opens the repository with this name, creating it if it does not exist.
    pub(super) async fn open(&self, name: &str) -> Result<Arc<dyn Store>> {
        let opened = (self.open)(name.to_owned(), true).await?;
        opened.ok_or_else(|| Error::not_found(name))
    }

    /// Opens the repository with this name if it exists. A registry cannot tell this, and returns its repository.
    pub(super) async fn find(&self, name: &str) -> Result<Option<Arc<dyn Store>>> {
        (self.open)(name.to_owned(), false).await
    }
}

/// Returns true if the path does not exist, or is a directory that is no layout, such as that of `a` above `a/b`.
fn is_absent(error: &Error) -> bool {
    error.kind() == ErrorKind::NotFound || matches!(error.find(), Some(LayoutFault::NoMarker))
}

impl fmt::Debug for BundleTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BundleTarget").finish_non_exhaustive()
    }
}
