//! The repositories of a server.

use std::sync::Arc;

use async_trait::async_trait;
use oras_spec::Descriptor;
use oras_store::{ReadStore, Result, Store};

use crate::api::warnings::Warnings;
use crate::digests_in_use::DigestsInUse;

/// The repositories of a server. A program implements it to decide which repositories exist and where they are stored;
/// [`PerRepository`](crate::PerRepository) is a ready implementation.
///
/// ```
/// use std::sync::Arc;
///
/// use async_trait::async_trait;
/// use oras_memory::Memory;
/// use oras_serve::store::{ReadStore, Result, Store};
/// use oras_serve::{DigestsInUse, Stores, Warnings};
///
/// /// A server with the single repository `hello`.
/// struct Single(Memory);
///
/// #[async_trait]
/// impl Stores for Single {
///     async fn repository(&self, name: &str, warnings: &Warnings) -> Result<Option<Arc<dyn ReadStore>>> {
///         warnings.add("this repository is in memory");
///         Ok((name == "hello").then(|| Arc::new(self.0.clone()) as _))
///     }
///
///     async fn writable(&self, name: &str, _create: bool) -> Result<Option<Arc<dyn Store>>> {
///         Ok((name == "hello").then(|| Arc::new(self.0.clone()) as _))
///     }
///
///     async fn repositories(&self) -> Result<Vec<String>> {
///         Ok(vec!["hello".to_owned()])
///     }
///
///     async fn maintain(&self, in_use: &DigestsInUse) {
///         let content = oras_serve::spec::Digest::sha256(b"hello world\n");
///         if !in_use.contains(&content) {
///             println!("{content} may be deleted");
///         }
///     }
/// }
/// # let _ = Single(Memory::new());
/// ```
#[async_trait]
pub trait Stores: Send + Sync {
    /// Opens a repository for reading; returns `None` if it does not exist. The name follows the grammar of the
    /// distribution-spec: no part of it is empty, `.` or `..`. The response contains the warnings that the store adds
    /// to `warnings`.
    async fn repository(&self, name: &str, warnings: &Warnings) -> Result<Option<Arc<dyn ReadStore>>>;

    /// Opens a repository for a request that reads a blob. The store may resolve the digest among the blobs only. The
    /// default calls [`Stores::repository`].
    async fn blob_repository(&self, name: &str, warnings: &Warnings) -> Result<Option<Arc<dyn ReadStore>>> {
        self.repository(name, warnings).await
    }

    /// Returns true if the stores of [`Stores::repository`] resolve only digests of manifests. By default they also
    /// resolve digests of blobs, to nodes of the type `application/octet-stream`.
    fn resolves_manifests_only(&self) -> bool {
        false
    }

    /// Returns true if reads may cause requests to another registry. The web page then reads only the manifests that it
    /// shows, and offers no order that depends on others. The default returns false.
    fn is_remote(&self) -> bool {
        false
    }

    /// Returns the name at this server of the repository `name` of the registry `namespace` (distribution-spec, main,
    /// "Registry Proxying"). `None`, the default, means that namespaces are ignored.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](oras_store::ErrorKind::NotFound) for an unknown registry.
    fn local_name(&self, _namespace: &str, _name: &str) -> Result<Option<String>> {
        Ok(None)
    }

    /// Opens a repository for writing and deleting, creating it if it does not exist and `create` is set.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`](oras_store::ErrorKind::Unsupported) if the stores are read-only; `InvalidInput` for a
    /// name that they can't represent.
    async fn writable(&self, name: &str, create: bool) -> Result<Option<Arc<dyn Store>>>;

    /// Opens a repository that may have uploads in progress, even if it has no content yet. The default opens an
    /// existing repository for writing.
    async fn upload_repository(&self, name: &str) -> Result<Option<Arc<dyn Store>>> {
        self.writable(name, false).await
    }

    /// Deletes a damaged blob if the store can fetch it again from its origin. Returns true if it was deleted. By
    /// default the blob stays.
    async fn discard_damaged(&self, _name: &str, _blob: &Descriptor) -> bool {
        false
    }

    /// Frees the disk space that was reserved for deletes on a full disk. Returns true if any was reserved. The
    /// default returns false.
    fn release_reserve(&self) -> bool {
        false
    }

    /// Reserves disk space again after a delete.
    async fn refill_reserve(&self) {}

    /// Maintains all repositories, for example by garbage collection. It is called at the intervals of
    /// [`ServerOptions::maintenance`](crate::ServerOptions::maintenance) while requests are answered. By default nothing happens.
    ///
    /// An implementation must keep the content in `in_use`, and content whose existence the server confirmed to a
    /// client a short time ago.
    async fn maintain(&self, _in_use: &DigestsInUse) {}

    /// Returns the names of all repositories, sorted.
    async fn repositories(&self) -> Result<Vec<String>>;

    /// Fails unless the repositories can be read and, if `writes`, also written. The default succeeds.
    async fn check_readiness(&self, _writes: bool) -> Result<()> {
        Ok(())
    }
}
