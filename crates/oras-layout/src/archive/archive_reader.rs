//! A layout in a tar archive as a read-only store.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use futures::stream::BoxStream;
use oras_fs::{BlockingQueue, blocking};
use oras_spec::{Descriptor, Digest, MediaType};
use oras_store::{ByteStream, ReadStore, Result, Source};

use super::archived_blob::ArchivedBlob;
use super::scanned_archive::ScannedArchive;
use crate::blob::Blob;
use crate::graph::Graph;
use crate::index::Index;
use crate::layout_files::{self, LayoutFiles, TagRule};

oras_store::inherent_read_methods!(Archive);

/// An OCI image layout in an uncompressed tar archive, which is read in place: nothing is unpacked, and any number of
/// blobs can be read at the same time, from any offset. Use it to pull or restore from a backup. Clones share the open
/// file.
///
/// The archive must not change while it is open. Names may begin with `./`. If several entries have one name, the
/// last one counts. Names that are absolute or contain `..` are ignored, and a link in place of a file is refused.
#[derive(Clone, Debug)]
pub struct Archive {
    inner: Arc<OpenArchive>,
    tag_rule: TagRule,
}

#[derive(Debug)]
struct OpenArchive {
    scanned: ScannedArchive,
    index: Arc<Index>,
    graph: OnceLock<Arc<Graph>>,
    queue: BlockingQueue,
}

impl Archive {
    /// Opens the layout in the archive at `path`. Reads every header and the index, but no blobs.
    ///
    /// # Errors
    /// `NotFound`; `InvalidContent` if the file is not an archive, with [`NotTar`](crate::NotTar) among the sources, or has
    /// no layout of version 1.0.0; `Unsupported` for sparse entries.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self> {
        Self::open_with(path.into(), TagRule::AnyName).await
    }

    /// Like [`Archive::open`], but serves the names of entries as the tags of a repository, as
    /// [`LayoutOptions::repository_tags`](crate::LayoutOptions::repository_tags) does.
    ///
    /// # Errors
    /// Those of [`Archive::open`].
    pub async fn open_as_repository(path: impl Into<PathBuf>) -> Result<Self> {
        Self::open_with(path.into(), TagRule::Repository).await
    }

    async fn open_with(path: PathBuf, tag_rule: TagRule) -> Result<Self> {
        blocking(move || Ok(Self { inner: Arc::new(OpenArchive::open(path)?), tag_rule })).await
    }

    /// Returns the path of the archive.
    pub fn path(&self) -> &Path {
        self.inner.scanned.path()
    }

    /// Lists the entries of `index.json` in order, also those without a tag. The annotation
    /// `org.opencontainers.image.ref.name` of an entry is its tag.
    pub fn roots(&self) -> Vec<Descriptor> {
        self.inner.index.descriptors().collect()
    }

    /// Lists the blobs in the order of the archive. Links and other entries without content are left out.
    pub fn blobs(&self) -> Vec<ArchivedBlob> {
        let mut blobs = self.inner.scanned.files();
        blobs.sort_by_key(|blob| blob.offset);
        blobs
    }
}

impl OpenArchive {
    fn open(path: PathBuf) -> Result<Self> {
        let scanned = ScannedArchive::open(path)?;
        scanned.check_marker()?;
        let index = Arc::new(scanned.index()?);
        Ok(Self { scanned, index, graph: OnceLock::new(), queue: BlockingQueue::default() })
    }
}

impl LayoutFiles for OpenArchive {
    fn path(&self) -> &Path {
        self.scanned.path()
    }

    fn index(&self) -> Result<Arc<Index>> {
        Ok(Arc::clone(&self.index))
    }

    fn graph(&self) -> Result<Arc<Graph>> {
        if let Some(graph) = self.graph.get() {
            return Ok(Arc::clone(graph));
        }
        // An error is not cached: the next call reads the archive again.
        let graph = Arc::new(Graph::build(&*self.reader(), &self.index)?);
        // Two callers may build the graph at the same time. Both then use the first one.
        Ok(Arc::clone(self.graph.get_or_init(|| graph)))
    }

    fn open(&self, digest: &Digest) -> Result<Blob> {
        self.scanned.open_blob(digest)
    }

    fn queue(&self) -> &BlockingQueue {
        &self.queue
    }
}

#[async_trait]
impl Source for Archive {
    async fn resolve(&self, reference: &str) -> Result<Descriptor> {
        layout_files::resolve(&self.inner, reference, self.tag_rule).await
    }

    async fn fetch(&self, descriptor: &Descriptor, range: Range<u64>) -> Result<ByteStream> {
        layout_files::fetch(&self.inner, descriptor, range).await
    }
}

#[async_trait]
impl ReadStore for Archive {
    async fn predecessors(
        &self,
        node: &Descriptor,
        artifact_type: Option<&MediaType>,
    ) -> Result<Vec<Descriptor>> {
        layout_files::predecessors(&self.inner, node, artifact_type).await
    }

    fn tags_after<'a>(&'a self, last: Option<&'a str>) -> BoxStream<'a, Result<String>> {
        layout_files::tags(&self.inner, last, self.tag_rule)
    }

    fn tagged_nodes(&self) -> BoxStream<'_, Result<(String, Descriptor)>> {
        layout_files::tagged_nodes(&self.inner, self.tag_rule)
    }
}
