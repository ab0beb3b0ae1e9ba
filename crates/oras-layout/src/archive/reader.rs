//! A layout in a tar archive as a store that can be read.

use std::fs::{self, File};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use futures::stream::BoxStream;
use oras_spec::layout::{INDEX_FILE, MARKER_FILE};
use oras_spec::{Descriptor, Digest, MediaType};
use oras_store::fsio::{self, Errands, blocking};
use oras_store::{ByteStream, Error, Kind, Predecessors, Result, Source, TagList};

use super::NotTar;
use super::scan::{self, Contents, Entry};
use crate::graph::Graph;
use crate::index::Index;
use crate::limits::{self, MAX_INDEX_SIZE, MAX_MARKER_SIZE};
use crate::place::{self, Blob, Names, Place};
use crate::{blobs, marker};

/// An OCI image layout in an uncompressed tar archive, read in place: nothing is unpacked, and any number of blobs
/// can be read at once, from any offset. Clones share the open file.
///
/// The archive is taken to stay as it is while it is open. Names may begin with `./`; of several entries of one name
/// the last counts. Names that are absolute or contain `..` are ignored, links in place of a file are refused.
#[derive(Clone, Debug)]
pub struct Archive {
    inner: Arc<Inner>,
    names: Names,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    file: Arc<File>,
    contents: Contents,
    index: Arc<Index>,
    graph: OnceLock<Arc<Graph>>,
    errands: Errands,
}

impl Archive {
    /// The layout in the archive at `path`: reads every header and the index, no blobs.
    ///
    /// # Errors
    /// `NotFound`; `InvalidContent` when it is no archive, with [`NotTar`] among the sources, or holds no layout of
    /// version 1.0.0; `Unsupported` for sparse entries.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        blocking(move || Inner::open(path).map(|inner| Self { inner: Arc::new(inner), names: Names::Plain }))
            .await
    }

    /// The same archive, whose names are the tags of a repository, as with
    /// [`Layout::as_repository`](crate::Layout::as_repository).
    #[must_use]
    pub fn as_repository(mut self) -> Self {
        self.names = Names::Tags;
        self
    }

    /// The archive's path.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }
}

impl Inner {
    fn open(path: PathBuf) -> Result<Self> {
        let failed = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound => place::absent(&path),
            _ => Error::io(format!("failed to open {}", path.display()), error),
        };
        // Asked before opening: to open a pipe is to wait for its writer.
        if !fs::metadata(&path).map_err(failed)?.is_file() {
            return Err(Error::new(Kind::InvalidContent, format!("{} is not a file", path.display())));
        }
        let file = File::open(&path).map_err(failed)?;
        let contents = scan::scan(&file).map_err(|error| {
            let message = format!("{:?} does not look like a tar archive", path.display().to_string());
            if error.find::<NotTar>().is_some() { error.context(message) } else { error }
        })?;
        let absent = |name: &str| format!("open {name}: file does not exist");
        let entry = contents.marker.ok_or_else(|| {
            marker::invalid(&format!("failed to open OCI layout file: {}", absent(MARKER_FILE)))
        })?;
        marker::check(&small(&file, MARKER_FILE, entry, MAX_MARKER_SIZE)?)?;
        let entry = contents.index.ok_or_else(|| {
            let message =
                format!("invalid OCI Image Index: failed to open index file: {}", absent(INDEX_FILE));
            Error::new(Kind::InvalidContent, message)
        })?;
        let index = Index::parse(small(&file, INDEX_FILE, entry, MAX_INDEX_SIZE)?)?;
        let (file, index) = (Arc::new(file), Arc::new(index));
        Ok(Self { path, file, contents, index, graph: OnceLock::new(), errands: Errands::default() })
    }
}

/// All bytes of an entry.
fn small(file: &File, name: &str, entry: Entry, limit: u64) -> Result<Vec<u8>> {
    plain(name, entry)?;
    if entry.size > limit {
        return Err(limits::too_large(name, entry.size, limit));
    }
    let mut bytes = vec![0; usize::try_from(entry.size).unwrap_or_default()];
    let count = fsio::read_at(file, &mut bytes, entry.start)
        .map_err(|error| Error::io(format!("failed to read {name}"), error))?;
    bytes.truncate(count);
    Ok(bytes)
}

fn plain(name: &str, entry: Entry) -> Result<()> {
    if entry.plain {
        return Ok(());
    }
    let message = format!("{name} is not a file in the archive: links are not followed");
    Err(Error::new(Kind::InvalidContent, message))
}

impl Place for Inner {
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
        // One that could not be read is read again.
        let graph = Arc::new(Graph::build(self, &self.index)?);
        Ok(Arc::clone(self.graph.get_or_init(|| graph)))
    }

    fn open(&self, digest: &Digest) -> Result<Blob> {
        let entry = self.contents.blobs.get(digest);
        let entry = *entry.ok_or_else(|| place::missing(&self.path, &digest.to_string()))?;
        plain(&blobs::path(Path::new(""), digest).display().to_string(), entry)?;
        Ok(Blob { file: Arc::clone(&self.file), start: entry.start, size: entry.size })
    }

    fn errands(&self) -> &Errands {
        &self.errands
    }
}

#[async_trait]
impl Source for Archive {
    async fn resolve(&self, reference: &str) -> Result<Descriptor> {
        place::resolve(&self.inner, reference, self.names).await
    }

    async fn fetch(&self, descriptor: &Descriptor, range: Range<u64>) -> Result<ByteStream> {
        place::fetch(&self.inner, descriptor, range).await
    }
}

#[async_trait]
impl Predecessors for Archive {
    async fn predecessors(
        &self,
        node: &Descriptor,
        artifact_type: Option<&MediaType>,
    ) -> Result<Vec<Descriptor>> {
        place::predecessors(&self.inner, node, artifact_type).await
    }
}

impl TagList for Archive {
    fn tags<'a>(&'a self, last: Option<&'a str>) -> BoxStream<'a, Result<String>> {
        place::tags(&self.inner, last, self.names)
    }
}
