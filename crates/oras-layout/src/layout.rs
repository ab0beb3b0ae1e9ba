//! A handle of a layout directory: opens it, caches its index and graph, and gives access to its blobs.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use oras_fs::{BlockingQueue, FileStamp, Mutex, blocking};
use oras_spec::layout::MARKER_FILE;
use oras_spec::{Descriptor, Digest};
use oras_store::{Error, ErrorKind, Result};
use tokio::sync::oneshot;

use crate::blob::{Blob, BlobReader};
use crate::disk::blobs;
use crate::disk::create_layout::{check_layout, exists};
#[cfg(unix)]
use crate::disk::flat_index;
use crate::disk::index_file::{index_stamp, read_index};
use crate::disk::index_writer::IndexWriter;
use crate::graph::Graph;
use crate::index::{Index, IndexChange, TagQuery};
use crate::layout_files::{LayoutFiles, TagRule};
use crate::layout_options::LayoutOptions;
use crate::maintenance::cache_eviction;
use crate::maintenance::stale_files::delete_stale;
use crate::oci_layout_file::LayoutFault;
use crate::pending_manifests::PendingManifests;
use crate::survey::layout_parts::LayoutParts;
use crate::verification::{VerifiedBlobs, verify};

/// A claim records the use of a blob unless an earlier use was recorded within this time.
const CLAIM_INTERVAL: Duration = Duration::from_secs(10 * 60);
/// The same interval for [`LayoutOptions::record_use`], where a garbage collection may follow soon.
const SHORT_CLAIM_INTERVAL: Duration = Duration::from_secs(1);

oras_store::inherent_read_methods!(Layout);
oras_store::inherent_write_methods!(Layout);

/// An OCI image layout in a directory. It is a [`Store`](oras_store::Store), to keep artifacts on a disk. Clones share
/// caches and options.
///
/// Any number of handles and processes may read and write one layout at the same time.
#[derive(Clone, Debug)]
pub struct Layout {
    pub(crate) inner: Arc<LayoutDirectory>,
}

/// The state that the clones of a handle share.
#[derive(Debug, Default)]
pub(crate) struct LayoutDirectory {
    root: PathBuf,
    options: LayoutOptions,
    pub(crate) index_writer: IndexWriter,
    pub(crate) pending: PendingManifests,
    pub(crate) queue: BlockingQueue,
    index: Cached<Index>,
    graph: Mutex<Option<CachedGraph>>,
    verified: VerifiedBlobs,
}

impl Layout {
    /// Opens the layout at `path`. The directory may be read-only.
    ///
    /// # Errors
    /// `NotFound` if the path does not exist; `InvalidContent` if it is not a layout of version 1.0.0, or if its
    /// index is malformed.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self> {
        Self::open_with(path, LayoutOptions::default()).await
    }

    /// Opens the layout at `path` with options, see [`Layout::open`].
    pub async fn open_with(path: impl Into<PathBuf>, options: LayoutOptions) -> Result<Self> {
        let layout = Self::at(path.into(), options);
        let root = layout.path().to_owned();
        blocking(move || check_layout(&root)).await?;
        // This makes a malformed index an error of opening the layout, not of the first read. An index with a lookup file
        // was well-formed when that was written.
        let root = layout.path().to_owned();
        if !blocking(move || Ok(has_lookup_file(&root))).await? {
            layout.index().await?;
        }
        Ok(layout)
    }

    /// Opens the layout at `path`. If there is none, the first write creates it. Deletes stale files of killed
    /// processes.
    ///
    /// # Errors
    /// `InvalidContent` if the path is not a directory; those of [`Layout::open`] if there is a layout.
    pub async fn open_or_create(path: impl Into<PathBuf>) -> Result<Self> {
        Self::open_or_create_with(path, LayoutOptions::default()).await
    }

    /// Opens the layout at `path` with options, see [`Layout::open_or_create`].
    pub async fn open_or_create_with(path: impl Into<PathBuf>, options: LayoutOptions) -> Result<Self> {
        let path = path.into();
        let root = path.clone();
        let is_layout = blocking(move || {
            if root.metadata().is_ok_and(|found| !found.is_dir()) {
                let message =
                    format!("{} is not a directory, and only there a layout can be written", root.display());
                let error = Error::new(ErrorKind::InvalidContent, message);
                return Err(error.with_detail(LayoutFault::NotDirectory));
            }
            delete_stale(&root);
            exists(&root.join(MARKER_FILE))
        });
        if is_layout.await? { Self::open_with(path, options).await } else { Ok(Self::at(path, options)) }
    }

    /// Opens the existing layout at `path` for changes of its blobs and tags.
    ///
    /// # Errors
    /// Those of [`Layout::open`]; `Unsupported` for a tar archive; `Denied` if the directories of the blobs are links,
    /// because another program owns what they lead to.
    pub async fn open_writable(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let root = path.clone();
        blocking(move || {
            LayoutParts::open(&root)?.directory()?;
            blobs::path_for_writing(&root, &Digest::sha256(b"")).map(drop)
        })
        .await?;
        Self::open(path).await
    }

    fn at(root: PathBuf, options: LayoutOptions) -> Self {
        let index_writer = IndexWriter::new(root.clone());
        let inner = LayoutDirectory { root, options, index_writer, ..LayoutDirectory::default() };
        Self { inner: Arc::new(inner) }
    }

    /// Returns the directory of the layout.
    pub fn path(&self) -> &Path {
        &self.inner.root
    }

    /// Lists the entries of `index.json` in order, also those without a tag. The annotation
    /// `org.opencontainers.image.ref.name` of an entry is its tag. A deferred manifest is listed after
    /// [`sync`](oras_store::Target::sync).
    ///
    /// # Errors
    /// `InvalidContent` for a malformed index; `Io`.
    pub async fn roots(&self) -> Result<Vec<Descriptor>> {
        Ok(self.index().await?.descriptors().collect())
    }

    /// Returns the options that the layout was opened with.
    pub fn options(&self) -> &LayoutOptions {
        &self.inner.options
    }

    /// Returns the maximum size of a cache in bytes, see [`LayoutOptions::size_limit`].
    pub fn size_limit(&self) -> Option<u64> {
        self.inner.options.size_limit
    }

    /// Deletes the unfinished files of killed processes if they were last written more than a day ago. Best effort.
    pub async fn delete_stale_files(&self) {
        let root = self.path().to_owned();
        let deleted = blocking(move || {
            delete_stale(&root);
            Ok(())
        });
        drop(deleted.await);
    }

    /// Records that the blob is used, so that it is not among the first to be evicted from a cache. Its bytes and its
    /// modification time do not change. Best effort.
    pub async fn touch(&self, digest: &Digest) {
        let (root, digest) = (self.path().to_owned(), digest.clone());
        drop(blocking(move || cache_eviction::touch(&root, &digest)).await);
    }

    /// Returns true if a blob with the size of `node` exists, without verifying it. In a cache this records a use.
    /// Blocks the thread while it reads the metadata of the file.
    pub fn has_unverified(&self, node: &Descriptor) -> bool {
        let is_present = blobs::is_present(self.path(), node);
        if is_present {
            self.record_cache_use(&node.digest);
        }
        is_present
    }

    /// Returns true if the blob of `node` exists with the right bytes. In a cache this records a use.
    ///
    /// The blob is read and hashed. Dropping the future cancels that.
    pub async fn has_verified(&self, node: &Descriptor) -> bool {
        let (layout, node) = (self.clone(), node.clone());
        // Dropping this future drops the receiver, which cancels the work on the blocking thread.
        let (caller, _waiting) = oneshot::channel();
        let verified = blocking(move || {
            let is_verified = verify(layout.path(), &node, &caller)? == Some(true);
            if is_verified {
                layout.record_cache_use(&node.digest);
            }
            Ok(is_verified)
        });
        // After an error the bytes may be wrong, so the blob counts as missing.
        verified.await.unwrap_or(false)
    }

    /// Records the use of a blob in a cache. Best effort: without the record the blob may be evicted earlier.
    fn record_cache_use(&self, digest: &Digest) {
        if self.size_limit().is_some() {
            drop(cache_eviction::touch(self.path(), digest));
        }
    }

    /// Returns the time within which a recorded use of a blob is not recorded again.
    pub(crate) fn claim_interval(&self) -> Duration {
        if self.options().record_use { SHORT_CLAIM_INTERVAL } else { CLAIM_INTERVAL }
    }

    /// Claims the blob of `node` and verifies it. Returns false if it is missing or damaged.
    pub(crate) async fn has_blob(&self, node: &Descriptor) -> Result<bool> {
        let (root, interval) = (self.path().to_owned(), self.claim_interval());
        let (digest, size) = (node.digest.clone(), node.size);
        let claim = move || blobs::claim(&root, &digest, Some(size), interval);
        let is_present = self.inner.queue.run(claim).await?;
        // A server does not verify: its clients verify what they download.
        if !is_present || self.options().record_use {
            return Ok(is_present);
        }
        let (inner, node) = (Arc::clone(&self.inner), node.clone());
        // Dropping this future drops the receiver, which cancels the work on the blocking thread.
        let (caller, _waiting) = oneshot::channel();
        blocking(move || inner.verified.is_intact(&inner.root, node, &caller)).await
    }

    /// Runs a query for a tag on a blocking thread.
    pub(crate) async fn query<T: Send + 'static>(
        &self,
        tag: &str,
        query: impl FnOnce(&LayoutDirectory, &str) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (inner, tag) = (Arc::clone(&self.inner), tag.to_owned());
        blocking(move || query(&inner, &tag)).await
    }

    /// Returns true if the index has an entry of the digest.
    pub(crate) async fn is_listed(&self, digest: &Digest) -> Result<bool> {
        let (inner, digest) = (Arc::clone(&self.inner), digest.clone());
        blocking(move || Ok(inner.find(&digest)?.is_some())).await
    }

    /// Returns the current index. It is parsed again only if the file changed.
    pub(crate) async fn index(&self) -> Result<Arc<Index>> {
        let inner = Arc::clone(&self.inner);
        blocking(move || inner.index()).await
    }

    /// Makes a change durable, together with the pending manifests.
    pub(crate) async fn change(&self, change: IndexChange) -> Result<()> {
        if self.inner.pending.is_empty() {
            return self.write(vec![change]).await;
        }
        self.inner.pending.store(&self.inner.index_writer, self.size_limit(), Some(change)).await
    }

    /// Makes changes durable.
    pub(crate) async fn write(&self, changes: Vec<IndexChange>) -> Result<()> {
        self.inner.index_writer.write(changes).await
    }

    /// Stores the pending manifests.
    pub(crate) async fn store_pending(&self) -> Result<()> {
        if self.inner.pending.is_empty() {
            return Ok(());
        }
        self.inner.pending.store(&self.inner.index_writer, self.size_limit(), None).await
    }
}

/// The graph of the index with the stamp.
#[derive(Debug)]
struct CachedGraph {
    stamp: Option<FileStamp>,
    graph: Arc<Graph>,
    #[cfg(unix)]
    growth: Option<flat_index::IndexGrowth>,
}

/// A value that was made from the index with the stamp.
type Cached<T> = Mutex<Option<(Option<FileStamp>, Arc<T>)>>;

/// Returns the cached value if it has the stamp. Otherwise makes and caches it.
fn cached<T>(
    cache: &Cached<T>,
    stamp: Option<FileStamp>,
    make: impl FnOnce() -> Result<T>,
) -> Result<Arc<T>> {
    // The lock is held while the value is made, so that concurrent callers make it only once.
    let mut cached = cache.lock();
    if let Some((made_from, value)) = &*cached
        && *made_from == stamp
    {
        return Ok(Arc::clone(value));
    }
    let value = Arc::new(make()?);
    *cached = Some((stamp, Arc::clone(&value)));
    Ok(value)
}

/// Returns true if single entries of the index can be found without reading all of it.
fn has_lookup_file(root: &Path) -> bool {
    #[cfg(unix)]
    return flat_index::is_current(root);
    #[cfg(not(unix))]
    {
        let _ = root;
        false
    }
}

impl TagQuery for LayoutDirectory {
    fn entry_named(&self, name: &str) -> Result<Option<Descriptor>> {
        #[cfg(unix)]
        if let Some(found) = flat_index::tagged(&self.root, name) {
            return Ok(found);
        }
        self.index()?.entry_named(name)
    }

    fn full_references(&self, tag: &str) -> Result<Vec<(String, Digest)>> {
        #[cfg(unix)]
        if let Some(found) = flat_index::full_references(&self.root, tag) {
            return Ok(found);
        }
        self.index()?.full_references(tag)
    }
}

impl LayoutDirectory {
    /// Adds the manifests that the index got since the graph was built. Returns false if the graph must be built again.
    #[cfg(unix)]
    fn extend(&self, cached: &mut CachedGraph, stamp: Option<FileStamp>) -> Result<bool> {
        let Some(mut growth) = cached.growth.clone() else { return Ok(false) };
        let Some(added) = growth.next_entries(&self.root) else { return Ok(false) };
        if !added.is_empty() {
            Arc::make_mut(&mut cached.graph).extend(&*self.reader(), added)?;
        }
        cached.growth = Some(growth);
        // The stamp was taken before the entries were read, so later entries are read by the next call.
        cached.stamp = stamp;
        Ok(true)
    }

    #[cfg(not(unix))]
    fn extend(&self, _: &mut CachedGraph, _: Option<FileStamp>) -> Result<bool> {
        Ok(false)
    }

    fn stamped_index(&self) -> Result<(Option<FileStamp>, Arc<Index>)> {
        // The stamp is taken before reading. If the file changes in between, the next call reads it again.
        let stamp = index_stamp(&self.root)?;
        Ok((stamp, cached(&self.index, stamp, || read_index(&self.root))?))
    }
}

impl LayoutFiles for LayoutDirectory {
    fn path(&self) -> &Path {
        &self.root
    }

    fn index(&self) -> Result<Arc<Index>> {
        self.stamped_index().map(|(_, index)| index)
    }

    fn tagged(&self, name: &str, tag_rule: TagRule) -> Result<Option<Descriptor>> {
        match tag_rule {
            TagRule::AnyName => self.entry_named(name),
            TagRule::Repository => self.repository_tag(name),
        }
    }

    fn find(&self, digest: &Digest) -> Result<Option<Descriptor>> {
        #[cfg(unix)]
        if let Some(found) = flat_index::find(&self.root, digest) {
            return Ok(found);
        }
        Ok(self.index()?.find(digest))
    }

    fn graph(&self) -> Result<Arc<Graph>> {
        // The lock is held while the graph is built, so that concurrent callers build it only once.
        let mut cached = self.graph.lock();
        let stamp = index_stamp(&self.root)?;
        if let Some(cached) = &mut *cached
            && (cached.stamp == stamp || self.extend(cached, stamp)?)
        {
            return Ok(Arc::clone(&cached.graph));
        }
        let (stamp, index) = self.stamped_index()?;
        let graph = Arc::new(Graph::build(&*self.reader(), &index)?);
        *cached = Some(CachedGraph {
            stamp,
            graph: Arc::clone(&graph),
            #[cfg(unix)]
            growth: stamp
                .map(|stamp| flat_index::IndexGrowth::at(&self.root, stamp, index.end_of_entries() as u64)),
        });
        Ok(graph)
    }

    fn claim(&self, digest: &Digest) -> Result<bool> {
        if self.options.record_use {
            return blobs::claim(&self.root, digest, None, SHORT_CLAIM_INTERVAL);
        }
        Ok(true)
    }

    fn open(&self, digest: &Digest) -> Result<Blob> {
        blobs::open(&self.root, digest)
    }

    fn reader(&self) -> Box<BlobReader<'_>> {
        Box::new(blobs::reader(&self.root))
    }

    fn queue(&self) -> &BlockingQueue {
        &self.queue
    }
}
