//! A layout in a tar archive as a read-only store.

use std::fs::{self, File};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use futures::stream::BoxStream;
use oras_fs::{BlockingQueue, blocking, failed_to};
use oras_spec::layout::{INDEX_FILE, MARKER_FILE};
use oras_spec::{Descriptor, Digest, MediaType};
use oras_store::{ByteStream, Error, ErrorKind, ReadStore, Result, Source};

use super::tar_scan::{self, ArchiveContents, EntryRange, NotTar};
use crate::blob::Blob;
use crate::disk::blobs;
use crate::graph::Graph;
use crate::index::Index;
use crate::layout_files::{self, LayoutFiles, TagRule};
use crate::not_found::{path_not_found, reference_not_found};
use crate::oci_layout_file::{LayoutFault, check_version, invalid_layout};
use crate::size_limits::{self, MAX_INDEX_SIZE, MAX_MARKER_SIZE};

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
    path: PathBuf,
    file: Arc<File>,
    contents: ArchiveContents,
    index: Arc<Index>,
    graph: OnceLock<Arc<Graph>>,
    queue: BlockingQueue,
}

impl Archive {
    /// Opens the layout in the archive at `path`. Reads every header and the index, but no blobs.
    ///
    /// # Errors
    /// `NotFound`; `InvalidContent` if the file is not an archive, with [`NotTar`] among the sources, or has no
    /// layout of version 1.0.0; `Unsupported` for sparse entries.
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
        &self.inner.path
    }

    /// Lists the entries of `index.json` in order, also those without a tag. The annotation
    /// `org.opencontainers.image.ref.name` of an entry is its tag.
    pub fn roots(&self) -> Vec<Descriptor> {
        self.inner.index.descriptors().collect()
    }
}

impl OpenArchive {
    fn open(path: PathBuf) -> Result<Self> {
        let failed = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound => path_not_found(&path),
            _ => failed_to("open", &path)(error),
        };
        // Checked before opening, because opening a pipe would wait for its writer.
        if !fs::metadata(&path).map_err(failed)?.is_file() {
            return Err(Error::new(ErrorKind::InvalidContent, format!("{} is not a file", path.display())));
        }
        let file = File::open(&path).map_err(failed)?;
        let contents = tar_scan::scan(&file).map_err(|error| {
            let message = format!("{:?} does not look like a tar archive", path.display().to_string());
            if error.find::<NotTar>().is_some() { error.context(message) } else { error }
        })?;
        let no_such_file = |name: &str| format!("open {name}: file does not exist");
        let entry = contents.marker.ok_or_else(|| {
            invalid_layout(&format!("failed to open OCI layout file: {}", no_such_file(MARKER_FILE)))
                .with_detail(LayoutFault::NoMarker)
        })?;
        check_version(&read_entry(&file, MARKER_FILE, entry, MAX_MARKER_SIZE)?)?;
        let entry = contents.index.ok_or_else(|| {
            let message =
                format!("invalid OCI Image Index: failed to open index file: {}", no_such_file(INDEX_FILE));
            Error::new(ErrorKind::InvalidContent, message).with_detail(LayoutFault::NoIndex)
        })?;
        let index = Index::parse(read_entry(&file, INDEX_FILE, entry, MAX_INDEX_SIZE)?)?;
        let (file, index) = (Arc::new(file), Arc::new(index));
        Ok(Self { path, file, contents, index, graph: OnceLock::new(), queue: BlockingQueue::default() })
    }
}

/// Reads all bytes of an entry.
///
/// # Errors
/// `InvalidContent` if it is not a file; `TooLarge`; `Io`.
fn read_entry(file: &File, name: &str, entry: EntryRange, limit: u64) -> Result<Vec<u8>> {
    check_is_file(name, entry)?;
    if entry.size > limit {
        return Err(size_limits::too_large(name, entry.size, limit));
    }
    // The size is at most `limit` here, so a false size cannot reserve much memory.
    let mut bytes = vec![0; usize::try_from(entry.size).unwrap_or_default()];
    let count = oras_fs::read_at(file, &mut bytes, entry.start).map_err(failed_to("read", name))?;
    bytes.truncate(count);
    Ok(bytes)
}

fn check_is_file(name: &str, entry: EntryRange) -> Result<()> {
    if entry.is_file {
        return Ok(());
    }
    let message = format!("{name} is not a file in the archive: links are not followed");
    Err(Error::new(ErrorKind::InvalidContent, message))
}

impl LayoutFiles for OpenArchive {
    fn path(&self) -> &Path {
        &self.path
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
        let entry = self.contents.blobs.get(digest);
        let entry = *entry.ok_or_else(|| reference_not_found(&self.path, &digest.to_string()))?;
        check_is_file(&blobs::path(Path::new(""), digest).display().to_string(), entry)?;
        Ok(Blob { file: Arc::clone(&self.file), start: entry.start, size: entry.size })
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
