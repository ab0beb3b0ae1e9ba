//! A collection of files, directories and bytes as a source of nodes.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use oras_fs::{BlockingQueue, blocking};
use oras_spec::{Descriptor, MediaType};
use oras_store::{ByteStream, Content, Error, ErrorKind, Origin, Result, Source};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::node_content::{NodeContent, Nodes};
use super::scanned_path::ScannedPath;
use super::title_claim::Titles;
use crate::archive::DirectoryOptions;

/// Files, directories and bytes as a source of nodes. Only packed directories and content that can be read only once
/// are copied.
///
/// [`Collection::add`] reads a path at once. A push of many files prepares all of them first, and sends large ones
/// while they are hashed:
///
/// ```
/// use std::path::PathBuf;
/// use std::sync::Arc;
///
/// use oras_files::store::futures::FutureExt;
/// use oras_files::store::spec::Descriptor;
/// use oras_files::store::{IngestTarget, Result};
/// use oras_files::{Collection, Prepared};
///
/// /// Stores files in their order as layers, and returns the layers.
/// async fn store(files: &[PathBuf], target: &dyn IngestTarget) -> Result<Vec<Descriptor>> {
///     let (collection, mut layers) = (Collection::new(), Vec::new());
///     for path in files {
///         let title = oras_files::title_of(&path.display().to_string());
///         layers.push(match collection.prepare(&title, path, None).await? {
///             Prepared::Described(layer) => layer,
///             Prepared::Scanned(scanned) if scanned.is_large() => {
///                 let progress = Arc::new(|update| println!("{update:?}"));
///                 let known_layers = async { Arc::from([]) }.boxed();
///                 collection.send(scanned, target, progress, known_layers).await?.0
///             }
///             Prepared::Scanned(scanned) => collection.describe(scanned).await?,
///         });
///     }
///     Ok(layers)
/// }
/// ```
#[derive(Debug)]
pub struct Collection {
    titles: Titles,
    pub(crate) nodes: Arc<Mutex<Nodes>>,
    pub(crate) directories: DirectoryOptions,
    /// Reads small files.
    queue: BlockingQueue,
    /// Packing one directory uses all cores, so directories are packed one after the other.
    packing: Semaphore,
}

/// A file or directory with a claimed title. [`Collection::prepare`] returns it, so that a caller sends large files
/// while they are hashed.
#[derive(Debug)]
pub enum Prepared {
    /// The file or directory was read and added to the collection.
    Described(Descriptor),
    /// The file or directory was not read yet, because that takes longer. The caller must describe or send it.
    Scanned(ScannedPath),
}

impl Default for Collection {
    fn default() -> Self {
        Self {
            titles: Titles::default(),
            nodes: Arc::default(),
            directories: DirectoryOptions::default(),
            queue: BlockingQueue::default(),
            packing: Semaphore::new(1),
        }
    }
}

impl Collection {
    /// Creates an empty collection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how directories are packed.
    #[must_use]
    pub fn directories(mut self, options: DirectoryOptions) -> Self {
        self.directories = options;
        self
    }

    /// Adds the file or directory at `path` under `title`. The returned descriptor carries the title.
    ///
    /// A file is hashed and stays in place: if it changes before it is read again, reading fails. Small files, a few
    /// MiB in total, are kept in memory instead. A directory is packed into a temporary file. If `path` is a link it
    /// is followed; links inside a directory are packed as links. Dropping the future cancels the work and frees the
    /// title, as an error does.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`] for a second node of that title; [`ErrorKind::Io`], `Unsupported` or `InvalidContent` if the
    /// path cannot be read.
    pub async fn add(&self, title: &str, path: &Path, media_type: Option<MediaType>) -> Result<Descriptor> {
        self.describe(self.scan(title, path, media_type).await?).await
    }

    /// Scans the file or directory at `path` and claims the title, without reading it. [`Collection::describe`] or
    /// [`Collection::send`] then adds it.
    ///
    /// # Errors
    /// Those of [`Collection::add`], except errors from reading the content.
    pub async fn scan(&self, title: &str, path: &Path, media_type: Option<MediaType>) -> Result<ScannedPath> {
        let claim = self.titles.claim(title)?;
        let (path, directories) = (path.to_owned(), self.directories);
        blocking(move || ScannedPath::scan(&path, media_type, directories, claim)).await
    }

    /// Scans a path as [`Collection::scan`] does, and in the same step describes a file that is quick to read. Many
    /// calls at the same time share few threads. Titles are claimed in the order in which the futures are first
    /// polled.
    ///
    /// # Errors
    /// As [`Collection::add`].
    pub async fn prepare(&self, title: &str, path: &Path, media_type: Option<MediaType>) -> Result<Prepared> {
        let claim = self.titles.claim(title)?;
        let (path, directories, nodes) = (path.to_owned(), self.directories, Arc::clone(&self.nodes));
        let prepare = move || {
            let scanned = ScannedPath::scan(&path, media_type, directories, claim)?;
            let is_quick = scanned.is_small_file();
            let described = if is_quick { Some(scanned.describe(directories, &nodes)?) } else { None };
            Ok((scanned, described))
        };
        let (mut scanned, described) = self.queue.run(prepare).await?;
        let Some((descriptor, content)) = described else { return Ok(Prepared::Scanned(scanned)) };
        self.nodes.lock().insert(descriptor.digest.clone(), content);
        scanned.claim.is_added = true;
        Ok(Prepared::Described(descriptor))
    }

    /// Reads and adds a scanned path. Dropping the future cancels the work.
    ///
    /// # Errors
    /// As [`Collection::add`].
    pub async fn describe(&self, scanned: ScannedPath) -> Result<Descriptor> {
        let _permit = self.packing_permit(&scanned).await?;
        let (directories, nodes) = (self.directories, Arc::clone(&self.nodes));
        let _guard = scanned.claim.cancel.clone().drop_guard();
        let (mut scanned, descriptor, content) = blocking(move || {
            let (descriptor, content) = scanned.describe(directories, &nodes)?;
            Ok((scanned, descriptor, content))
        })
        .await?;
        self.nodes.lock().insert(descriptor.digest.clone(), content);
        scanned.claim.is_added = true;
        Ok(descriptor)
    }

    /// Waits until no other directory is packed. Returns `None` at once for anything that is not a directory.
    pub(crate) async fn packing_permit(&self, scanned: &ScannedPath) -> Result<Option<SemaphorePermit<'_>>> {
        if !scanned.is_directory() {
            return Ok(None);
        }
        let permit = self.packing.acquire().await;
        permit.map(Some).map_err(|error| Error::from_source(ErrorKind::Other, error))
    }

    /// Adds content from memory or from another store, and returns its descriptor. The collection reads the content
    /// when it is read itself, and has its origin.
    pub fn add_content(&self, content: Content) -> Descriptor {
        let descriptor = content.descriptor().clone();
        self.nodes.lock().insert(descriptor.digest.clone(), NodeContent::Content(content));
        descriptor
    }
}

#[async_trait]
impl Source for Collection {
    /// Always fails with [`ErrorKind::NotFound`]: a collection has no tags.
    async fn resolve(&self, reference: &str) -> Result<Descriptor> {
        Err(Error::not_found(reference))
    }

    async fn fetch(&self, descriptor: &Descriptor, range: Range<u64>) -> Result<ByteStream> {
        let content = self.nodes.lock().get(&descriptor.digest);
        content.ok_or_else(|| Error::not_found(&descriptor.digest))?.read(range, &self.queue).await
    }

    fn origin(&self, descriptor: &Descriptor) -> Origin {
        match self.nodes.lock().get(&descriptor.digest) {
            Some(NodeContent::Content(content)) => content.origin(),
            _ => Origin::Opaque,
        }
    }
}
