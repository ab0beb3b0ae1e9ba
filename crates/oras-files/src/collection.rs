//! Paths collected into nodes.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{self, StreamExt};
use oras_spec::{Descriptor, Digest, MediaType};
use oras_store::fsio::{self, Errands, blocking};
use oras_store::{ByteStream, Error, Kind, Progress, Pushed, Result, Sink, Source};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Semaphore;

use crate::archive::DirectoryOptions;
use crate::cancel::Cancel;
use crate::found::{self, Body, Claim, Found, FoundKind, SMALL, stat_error};

/// Files, directories and bytes as a source of nodes; nothing is copied but packed directories that are not sent at once.
#[derive(Debug)]
pub struct Collection {
    pub(crate) shared: Arc<Shared>,
    pub(crate) directories: DirectoryOptions,
    /// Packing one directory takes all cores: they wait for each other.
    pub(crate) packing: Semaphore,
}

/// What those who look at paths share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub(crate) state: Mutex<State>,
    /// Who reads small files.
    pub(crate) errands: Errands,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) titles: HashSet<String>,
    pub(crate) nodes: HashMap<Digest, Body>,
    /// The bytes of packed directories in memory.
    pub(crate) held: u64,
    /// The bytes of small files in memory.
    pub(crate) small: u64,
}

/// A file or directory whose title is taken.
#[derive(Debug)]
pub enum Prepared {
    /// It was read, and is in the collection.
    Described(Descriptor),
    /// It is to be described or sent, which takes a while.
    Found(Found),
}

impl Default for Collection {
    fn default() -> Self {
        Self { shared: Arc::default(), directories: DirectoryOptions::default(), packing: Semaphore::new(1) }
    }
}

impl Collection {
    /// An empty collection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Packs directories in this way.
    #[must_use]
    pub fn directories(mut self, options: DirectoryOptions) -> Self {
        self.directories = options;
        self
    }

    /// Adds the file or directory at `path`, called `title`; the descriptor carries the title.
    ///
    /// A file is hashed and stays where it is: if it changes before it is read, reading fails. Small files are kept in
    /// memory instead, some MiB of them. A directory is packed into a temporary file. Links given as `path` are
    /// followed; links inside a directory are kept. Dropping the
    /// future ends the work and frees the title, as an error does.
    ///
    /// # Errors
    /// [`Kind::AlreadyExists`] for a second node of that title; [`Kind::Io`] or `InvalidInput` for what can't be read.
    pub async fn add(&self, title: &str, path: &Path, media_type: Option<MediaType>) -> Result<Descriptor> {
        self.describe(self.look(title, path, media_type).await?).await
    }

    /// Looks at the file or directory at `path` and takes the title for it; then it is to be described or sent.
    ///
    /// # Errors
    /// As [`Collection::add`], without those of reading.
    pub async fn look(&self, title: &str, path: &Path, media_type: Option<MediaType>) -> Result<Found> {
        let (claim, path, directories) = (self.claim(title)?, path.to_owned(), self.directories);
        blocking(move || Found::look(&path, media_type, directories, claim)).await
    }

    /// Like [`Collection::look`], and in the same step describes a file that takes no time. Many at a time get along with
    /// few threads; the titles are taken in the order in which the futures are first polled.
    ///
    /// # Errors
    /// As [`Collection::add`].
    pub async fn prepare(&self, title: &str, path: &Path, media_type: Option<MediaType>) -> Result<Prepared> {
        let (claim, path, directories) = (self.claim(title)?, path.to_owned(), self.directories);
        let prepare = move || {
            let found = Found::look(&path, media_type, directories, claim)?;
            let is_quick = matches!(found.kind, FoundKind::File(_)) && !found.is_large();
            let described = if is_quick { Some(found.describe(directories)?) } else { None };
            Ok((found, described))
        };
        let (mut found, described) = self.shared.errands.run(prepare).await?;
        let Some((descriptor, body)) = described else { return Ok(Prepared::Found(found)) };
        self.state().nodes.insert(descriptor.digest.clone(), body);
        found.claim.done = true;
        Ok(Prepared::Described(descriptor))
    }

    /// Takes the title.
    fn claim(&self, title: &str) -> Result<Claim> {
        if !self.state().titles.insert(title.to_owned()) {
            return Err(Error::new(Kind::AlreadyExists, format!("{title}: duplicate name")));
        }
        let (shared, title) = (Arc::clone(&self.shared), title.to_owned());
        Ok(Claim { shared, title, cancelled: Arc::default(), done: false })
    }

    /// Adds what was found: reads it all, and keeps where it is to be read again.
    ///
    /// # Errors
    /// As [`Collection::add`]. Dropping the future ends the work.
    pub async fn describe(&self, found: Found) -> Result<Descriptor> {
        let _turn = self.turn(&found).await?;
        let directories = self.directories;
        let cancel = Cancel(Arc::clone(&found.claim.cancelled));
        let (mut found, descriptor, body) = blocking(move || {
            let (descriptor, body) = found.describe(directories)?;
            Ok((found, descriptor, body))
        })
        .await?;
        self.state().nodes.insert(descriptor.digest.clone(), body);
        found.claim.done = true;
        drop(cancel);
        Ok(descriptor)
    }

    /// Sends a file, or a directory that is packed, to `target` while its digest is found out, telling `progress` of
    /// each piece; its descriptor, and whether it was there already. A later run goes on with what was sent of the same
    /// file. `None` when nothing was sent: what a small directory is packed to is added, as by [`Collection::describe`].
    ///
    /// `earlier` gives layers that the target may have; it is polled only if the content is large. Content that looks like one
    /// of them is hashed first, and not sent if the target has it. A layer with the same title but other content costs one
    /// more pass of hashing.
    ///
    /// # Errors
    /// As [`Collection::add`], also when the file changes meanwhile, and those of the target.
    pub async fn send(
        &self,
        mut found: Found,
        target: &dyn Sink,
        progress: Progress,
        earlier: BoxFuture<'_, Vec<Descriptor>>,
    ) -> Result<(Descriptor, Option<Pushed>)> {
        if found.is_directory() {
            return self.send_packed(found, target, (&progress, earlier)).await;
        }
        if found.is_file_among(&earlier.await) {
            return Ok((self.describe(found).await?, None));
        }
        let Some(content) = found.undigested() else {
            return Err(Error::new(Kind::InvalidInput, format!("{} is not a file", found.title())));
        };
        let (sent, pushed) = target.ingest(&content.with_progress(progress)).await?;
        let descriptor = found.sent(&sent)?;
        found.claim.done = true;
        Ok((descriptor, Some(pushed)))
    }

    /// The right to pack, if it is a directory.
    pub(crate) async fn turn(&self, found: &Found) -> Result<Option<tokio::sync::SemaphorePermit<'_>>> {
        if !found.is_directory() {
            return Ok(None);
        }
        let permit = self.packing.acquire().await;
        permit.map(Some).map_err(|error| Error::from_source(Kind::Other, error))
    }

    /// Adds `bytes`, without a title.
    pub fn add_bytes(&self, media_type: MediaType, bytes: Bytes) -> Result<Descriptor> {
        let descriptor = Descriptor::of(media_type, &bytes);
        self.state().nodes.insert(descriptor.digest.clone(), Body::Bytes(bytes));
        Ok(descriptor)
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock()
    }
}

#[async_trait]
impl Source for Collection {
    /// A collection has no names: always [`Kind::NotFound`].
    async fn resolve(&self, reference: &str) -> Result<Descriptor> {
        Err(Error::not_found(reference))
    }

    async fn fetch(&self, descriptor: &Descriptor, range: Range<u64>) -> Result<ByteStream> {
        let body = self.state().nodes.get(&descriptor.digest).cloned();
        match body.ok_or_else(|| Error::not_found(&descriptor.digest))? {
            Body::Bytes(bytes) => {
                let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
                let bytes = bytes.slice(place(range.start)..place(range.end).max(place(range.start)));
                Ok(stream::iter((!bytes.is_empty()).then_some(Ok(bytes))).boxed())
            }
            Body::File { path, stamp } if stamp.length < SMALL && range == (0..stamp.length) => {
                let bytes = self.shared.errands.run(move || found::read_small(&path, &stamp)).await?;
                Ok(stream::iter((!bytes.is_empty()).then_some(Ok(bytes))).boxed())
            }
            Body::File { path, stamp } => {
                let name = path.display().to_string();
                let file = blocking(move || found::open(&path, &stamp)).await?;
                Ok(fsio::read(file, range, name))
            }
            Body::Packed(path) => {
                let name = path.display().to_string();
                let file =
                    blocking(move || File::open(&*path).map_err(|error| stat_error(&path, error))).await?;
                Ok(fsio::read(file, range, name))
            }
        }
    }
}
