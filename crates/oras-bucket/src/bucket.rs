//! A repository in a bucket.

use std::fmt;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, UpdateVersion};
use oras_spec::{Descriptor, json, layout};
use oras_store::{Error, ErrorKind, MAX_MANIFEST_SIZE, Result};
use tokio::sync::OnceCell;

use crate::errors::failed;
use crate::index_update::IndexChange;
use crate::keys::Keys;

/// How a [`Bucket`] writes. [`Bucket::with_options`] takes it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BucketOptions {
    /// Whether this is the only writer of the repository. The store then needs no conditional puts: tags are replaced
    /// without a check. Two writers of one tag could overwrite each other unnoticed.
    pub single_writer: bool,
    /// The size in bytes of the parts of a large blob, by default 8 MiB. Up to five parts of each transfer are in
    /// memory. S3 rejects parts below 5 MiB except the last one. The parts of a blob above 72 GiB are larger, because
    /// S3 permits 10,000 of them.
    pub part_size: usize,
    /// Whether `index.json` is updated with each tag and each manifest, with two more requests, so that a copy of the
    /// repository on a disk is an OCI image layout at any time. Without it, [`Bucket::write_index`] writes the index.
    /// Many writers at the same time wait for each other, and the index grows with the repository: a server writes it
    /// now and then instead.
    pub keep_index: bool,
}

impl BucketOptions {
    /// Makes the default options.
    pub fn new() -> Self {
        Self::default()
    }

    oras_store::setters! {
        single_writer: bool;
        part_size: usize;
        keep_index: bool;
    }
}

impl Default for BucketOptions {
    fn default() -> Self {
        Self { single_writer: false, part_size: 8 << 20, keep_index: false }
    }
}

/// One repository in a bucket of an object store, below a prefix. Clones share the connection.
///
/// Any number of programs may use a repository at the same time. A tag is one object, which is created and replaced
/// with conditional puts, so that no writer overwrites the tag of another writer unnoticed. A blob is visible under its
/// final key only after its digest was verified. See the [crate](crate) for the keys.
///
/// The first write checks that the store supports create-only puts. [`Bucket::probe`] checks all that concurrent
/// writers need.
///
/// ```
/// use std::sync::Arc;
///
/// use object_store::memory::InMemory;
/// use oras_bucket::object_store;
/// use oras_bucket::store::spec::MediaType;
/// use oras_bucket::{Bucket, BucketOptions};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> oras_bucket::store::Result<()> {
/// let options = BucketOptions::new().part_size(16 << 20);
/// let bucket = Bucket::with_options(Arc::new(InMemory::new()), "mirror/app", options);
/// let index = r#"{"schemaVersion":2,"manifests":[]}"#;
/// let index = bucket.push_manifest(MediaType::IMAGE_INDEX, index, Some("v1")).await?;
/// assert_eq!(bucket.resolve("v1").await?.digest, index.digest);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Bucket {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) keys: Keys,
    pub(crate) options: BucketOptions,
    /// The name in errors, to which `:<tag>` or `@<digest>` is added.
    name: String,
    /// The changes of `index.json` that are not written yet.
    pub(crate) changes: Mutex<Vec<IndexChange>>,
    /// Set when this process has seen or written the marker file.
    marker: OnceCell<()>,
}

oras_store::inherent_read_methods!(Bucket);
oras_store::inherent_write_methods!(Bucket);

impl Bucket {
    /// Opens the repository below `prefix`, with the default options. Sends no request.
    pub fn new(store: Arc<dyn ObjectStore>, prefix: &str) -> Self {
        Self::with_options(store, prefix, BucketOptions::default())
    }

    /// Opens the repository below `prefix`. Sends no request. An empty prefix is the bucket itself.
    pub fn with_options(store: Arc<dyn ObjectStore>, prefix: &str, options: BucketOptions) -> Self {
        let name = format!("{store}/{prefix}");
        Self::named(store, prefix, options, name)
    }

    pub(crate) fn named(
        store: Arc<dyn ObjectStore>,
        prefix: &str,
        options: BucketOptions,
        name: String,
    ) -> Self {
        let (keys, changes) = (Keys::new(Path::from(prefix)), Mutex::default());
        Self { inner: Arc::new(Inner { store, keys, options, name, changes, marker: OnceCell::new() }) }
    }

    /// Returns the error for a tag or digest that the repository does not have.
    pub(crate) fn not_found(&self, reference: &str) -> Error {
        let separator = if reference.contains(':') { '@' } else { ':' };
        Error::not_found(format_args!("{}{separator}{reference}", self.inner.name))
    }

    pub(crate) fn store(&self) -> &dyn ObjectStore {
        &self.inner.store
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.inner.keys
    }

    pub(crate) fn options(&self) -> &BucketOptions {
        &self.inner.options
    }

    /// Writes the marker file unless it exists, once in the life of this value.
    ///
    /// # Errors
    /// `Unsupported` if the store accepts a create-only put of an existing object, and the bucket has several writers.
    pub(crate) async fn ensure_marker(&self) -> Result<()> {
        self.inner.marker.get_or_try_init(|| self.write_marker()).await.copied()
    }

    async fn write_marker(&self) -> Result<()> {
        let key = self.keys().marker();
        let marker = || json::to_vec(&layout::Marker::default()).into();
        if self.options().single_writer {
            return self.put(&key, marker(), PutMode::Overwrite).await.map(drop);
        }
        // A store that supports create-only puts rejects the second put at the latest.
        for _ in 0..2 {
            match self.store().put_opts(&key, marker(), PutMode::Create.into()).await {
                Ok(_) => {}
                Err(object_store::Error::AlreadyExists { .. }) => return Ok(()),
                Err(error) => return Err(failed("write", &key, error)),
            }
        }
        Err(ignores_conditions())
    }

    pub(crate) async fn put(
        &self,
        key: &Path,
        payload: object_store::PutPayload,
        mode: PutMode,
    ) -> Result<object_store::PutResult> {
        let result = self.store().put_opts(key, payload, mode.into()).await;
        result.map_err(|error| failed("write", key, error))
    }

    /// Returns the size of the object, or `None` if it does not exist.
    pub(crate) async fn size(&self, key: &Path) -> Result<Option<u64>> {
        match self.store().head(key).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed("read", key, error)),
        }
    }

    /// Reads an object of at most `limit` bytes with its version. Returns `None` if it does not exist.
    pub(crate) async fn read(&self, key: &Path, limit: u64) -> Result<Option<(Bytes, UpdateVersion)>> {
        let result = match self.store().get(key).await {
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            result => result.map_err(|error| failed("read", key, error))?,
        };
        if result.meta.size > limit {
            let message = format!("{key} has {} bytes, which exceeds the limit of {limit}", result.meta.size);
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        let version =
            UpdateVersion { e_tag: result.meta.e_tag.clone(), version: result.meta.version.clone() };
        let bytes = result.bytes().await.map_err(|error| failed("read", key, error))?;
        Ok(Some((bytes, version)))
    }

    /// Reads an object that holds a descriptor.
    pub(crate) async fn read_descriptor(&self, key: &Path) -> Result<Option<(Descriptor, UpdateVersion)>> {
        let Some((bytes, version)) = self.read(key, MAX_MANIFEST_SIZE).await? else { return Ok(None) };
        let descriptor = serde_json::from_slice(&bytes).map_err(|error| {
            Error::new(ErrorKind::InvalidContent, format!("{key} is not a descriptor")).with_source(error)
        })?;
        Ok(Some((descriptor, version)))
    }

    pub(crate) async fn delete_object(&self, key: &Path) -> Result<()> {
        match self.store().delete(key).await {
            // Another client may delete the same object, and some stores report that.
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed("delete", key, error)),
        }
    }
}

/// The error for a store that answers "ok" to a conditional put that must fail.
pub(crate) fn ignores_conditions() -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "the object store ignores conditional puts, so that two writers would overwrite each other's tags",
    )
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bucket")
            .field("store", &self.inner.store.to_string())
            .field("prefix", &self.keys().prefix().as_ref())
            .finish_non_exhaustive()
    }
}
