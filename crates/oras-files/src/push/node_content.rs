//! Where the bytes of a collection's nodes are, and how many of them are in memory.

use std::collections::HashMap;
use std::fs::File;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, StreamExt};
use oras_fs::{BlockingQueue, FileStamp, blocking};
use oras_spec::Digest;
use oras_store::{ByteStream, Content, Result};
use tempfile::TempPath;

use super::source_file::{self, SMALL, stat_error};

/// The maximum total size in bytes of the small files in memory.
const MAX_SMALL_FILES: u64 = 8 << 20;
/// The maximum total size in bytes of the packed directories in memory.
const MAX_PACKED_DIRECTORIES: u64 = 8 << 20;

/// The content of one node of a collection.
#[derive(Clone, Debug)]
pub(crate) enum NodeContent {
    Bytes(Bytes),
    /// Content from memory or from another store.
    Content(Content),
    File {
        path: PathBuf,
        stamp: FileStamp,
    },
    /// A packed directory, or content that could be read only once. Dropping the collection deletes the file.
    TempFile(Arc<TempPath>),
}

/// The nodes of a collection with their content.
#[derive(Debug, Default)]
pub(crate) struct Nodes {
    by_digest: HashMap<Digest, NodeContent>,
    /// The total size in bytes of the packed directories in memory.
    packed_bytes: u64,
    /// The total size in bytes of the small files in memory.
    small_bytes: u64,
}

impl Nodes {
    pub(crate) fn get(&self, digest: &Digest) -> Option<NodeContent> {
        self.by_digest.get(digest).cloned()
    }

    pub(crate) fn insert(&mut self, digest: Digest, content: NodeContent) {
        self.by_digest.insert(digest, content);
    }

    /// Adds a packed directory whose bytes are in memory.
    pub(crate) fn insert_packed(&mut self, digest: Digest, bytes: Bytes) {
        self.packed_bytes += bytes.len() as u64;
        self.insert(digest, NodeContent::Bytes(bytes));
    }

    /// Returns how many more bytes of packed directories may be in memory.
    pub(crate) fn room_for_packed(&self) -> u64 {
        MAX_PACKED_DIRECTORIES.saturating_sub(self.packed_bytes)
    }

    /// Reserves memory for a small file. Returns false if there is not enough left.
    pub(crate) fn reserve_small(&mut self, bytes: &Bytes) -> bool {
        let total = self.small_bytes + bytes.len() as u64;
        let has_room = total <= MAX_SMALL_FILES;
        if has_room {
            self.small_bytes = total;
        }
        has_room
    }
}

impl NodeContent {
    /// Streams the bytes in `range`. A small file is read in one step by `queue`.
    ///
    /// # Errors
    /// `Io` if the file cannot be opened; `InvalidContent` if it changed since it was scanned.
    pub(crate) async fn read(self, range: Range<u64>, queue: &BlockingQueue) -> Result<ByteStream> {
        match self {
            Self::Bytes(bytes) => {
                // A range that ends after the content is not an error here: the verifier reports the missing bytes.
                let clamp = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
                let start = clamp(range.start);
                Ok(stream_of(bytes.slice(start..clamp(range.end).max(start))))
            }
            Self::Content(content) => content.unverified(range).await,
            Self::File { path, stamp } if stamp.length < SMALL && range == (0..stamp.length) => {
                queue.run(move || source_file::read_small(&path, &stamp)).await.map(stream_of)
            }
            Self::File { path, stamp } => {
                let name = path.display().to_string();
                let file = blocking(move || source_file::open(&path, &stamp)).await?;
                Ok(oras_fs::read(file, range, name))
            }
            Self::TempFile(path) => {
                let name = path.display().to_string();
                let open = move || File::open(&*path).map_err(|error| stat_error(&path, error));
                Ok(oras_fs::read(blocking(open).await?, range, name))
            }
        }
    }
}

fn stream_of(bytes: Bytes) -> ByteStream {
    stream::iter((!bytes.is_empty()).then_some(Ok(bytes))).boxed()
}
