//! Paths collected into nodes.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, Metadata};
use std::io::{Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, StreamExt};
use oras_spec::{Algorithm, Descriptor, Digest, Hasher, MediaType, annotation};
use oras_store::fsio::{self, blocking};
use oras_store::{ByteStream, Error, Kind, Result, Source};
use tempfile::TempPath;

use crate::archive;
use crate::title::clean;

/// Files, directories and bytes as a source of nodes; nothing is copied but packed directories.
#[derive(Debug, Default)]
pub struct Collection {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    titles: HashSet<String>,
    nodes: HashMap<Digest, Body>,
}

#[derive(Clone, Debug)]
enum Body {
    Bytes(Bytes),
    File {
        path: PathBuf,
        stamp: Stamp,
    },
    /// A packed directory, or what could be read only once: the file goes with the collection.
    Packed(Arc<TempPath>),
}

/// What tells whether a file is still the one that was hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self { length: metadata.len(), modified: metadata.modified().ok() }
    }
}

impl Collection {
    /// An empty collection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the file or directory at `path`, called `title`; the descriptor carries the title.
    ///
    /// A file is hashed and stays where it is: if it changes before it is read, reading fails. A directory is packed
    /// into a temporary file. Links given as `path` are followed; links inside a directory are kept. Dropping the
    /// future ends the work and frees the title, as an error does.
    ///
    /// # Errors
    /// [`Kind::AlreadyExists`] for a second node of that title; [`Kind::Io`] or `InvalidInput` for what can't be read.
    pub async fn add(&self, title: &str, path: &Path, media_type: Option<MediaType>) -> Result<Descriptor> {
        if !self.state().titles.insert(title.to_owned()) {
            return Err(Error::new(Kind::AlreadyExists, format!("{title}: duplicate name")));
        }
        let mut adding = Adding { collection: self, title, cancelled: Arc::default(), done: false };
        let (owned_title, owned_path, cancelled) =
            (title.to_owned(), path.to_owned(), Arc::clone(&adding.cancelled));
        let (mut descriptor, body) =
            blocking(move || describe(&owned_title, &owned_path, media_type, &cancelled)).await?;
        descriptor.annotations.insert(annotation::TITLE.to_owned(), title.to_owned());
        self.state().nodes.insert(descriptor.digest.clone(), body);
        adding.done = true;
        Ok(descriptor)
    }

    /// Adds `bytes`, without a title.
    pub fn add_bytes(&self, media_type: MediaType, bytes: Bytes) -> Result<Descriptor> {
        let descriptor = Descriptor::of(media_type, &bytes);
        self.state().nodes.insert(descriptor.digest.clone(), Body::Bytes(bytes));
        Ok(descriptor)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A title that is free again, and work that ends, unless the node was added.
struct Adding<'a> {
    collection: &'a Collection,
    title: &'a str,
    cancelled: Arc<AtomicBool>,
    done: bool,
}

impl Drop for Adding<'_> {
    fn drop(&mut self) {
        if !self.done {
            self.cancelled.store(true, Ordering::Relaxed);
            self.collection.state().titles.remove(self.title);
        }
    }
}

fn describe(
    title: &str,
    path: &Path,
    media_type: Option<MediaType>,
    cancelled: &AtomicBool,
) -> Result<(Descriptor, Body)> {
    // The path of the Go tool: absolute and cleaned before it is looked at.
    let absolute = std::path::absolute(path).map_err(|error| stat_error(path, error))?;
    let path = &clean(&absolute);
    let metadata = fs::metadata(path).map_err(|error| stat_error(path, error))?;
    if metadata.is_dir() {
        let packed = archive::pack(path, title, cancelled)?;
        let media_type = media_type.unwrap_or(MediaType::LAYER_TAR_GZIP);
        let mut descriptor = Descriptor::new(media_type, packed.digest, packed.size);
        descriptor
            .annotations
            .insert(annotation::CONTENT_DIGEST.to_owned(), packed.content_digest.to_string());
        descriptor.annotations.insert(annotation::UNPACK.to_owned(), "true".to_owned());
        return Ok((descriptor, Body::Packed(Arc::new(packed.path))));
    }
    let media_type = media_type.unwrap_or(MediaType::LAYER_TAR);
    if is_socket(&metadata) {
        let message = format!("{} is neither a file nor a directory", path.display());
        return Err(Error::new(Kind::Unsupported, message));
    }
    if !metadata.is_file() {
        // `/dev/null` for an empty config, `<(…)` in a shell: what can be read only once is kept.
        let (descriptor, kept) = keep(path, media_type, cancelled)?;
        return Ok((descriptor, Body::Packed(Arc::new(kept))));
    }
    let (digest, size) = hash(path, cancelled)?;
    let stamp = Stamp::of(&metadata);
    if size != stamp.length {
        return Err(changed(path));
    }
    let descriptor = Descriptor::new(media_type, digest, size);
    Ok((descriptor, Body::File { path: path.to_owned(), stamp }))
}

#[cfg(unix)]
fn is_socket(metadata: &Metadata) -> bool {
    std::os::unix::fs::FileTypeExt::is_socket(&metadata.file_type())
}

#[cfg(not(unix))]
fn is_socket(_: &Metadata) -> bool {
    false
}

/// Copies what is read from a device or a pipe into a temporary file.
fn keep(path: &Path, media_type: MediaType, cancelled: &AtomicBool) -> Result<(Descriptor, TempPath)> {
    let failed = |error| Error::io(format!("failed to keep {}", path.display()), error);
    let mut kept = tempfile::NamedTempFile::new().map_err(failed)?;
    let (digest, size) = hash_into(path, kept.as_file_mut(), cancelled)?;
    Ok((Descriptor::new(media_type, digest, size), kept.into_temp_path()))
}

fn hash(path: &Path, cancelled: &AtomicBool) -> Result<(Digest, u64)> {
    hash_into(path, &mut std::io::sink(), cancelled)
}

/// Reads a file to its end, handing everything on; its digest and length.
fn hash_into(path: &Path, to: &mut impl Write, cancelled: &AtomicBool) -> Result<(Digest, u64)> {
    let failed = |error| Error::io(format!("failed to read {}", path.display()), error);
    let mut file = File::open(path).map_err(failed)?;
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let mut buffer = vec![0; fsio::CHUNK];
    let mut size = 0;
    while !cancelled.load(Ordering::Relaxed) {
        match file.read(&mut buffer) {
            Ok(0) => return Ok((hasher.finish(), size)),
            Ok(count) => {
                hasher.update(&buffer[..count]);
                to.write_all(&buffer[..count]).map_err(failed)?;
                size += count as u64;
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Err(Error::new(Kind::Other, "cancelled"))
}

/// The words of the Go tool, which name the absolute path.
fn stat_error(path: &Path, error: std::io::Error) -> Error {
    match error.kind() {
        std::io::ErrorKind::NotFound => {
            Error::new(Kind::InvalidInput, format!("stat {}: no such file or directory", path.display()))
        }
        _ => Error::io(format!("stat {}", path.display()), error),
    }
}

fn changed(path: &Path) -> Error {
    Error::new(Kind::InvalidContent, format!("{} changed while it was being pushed", path.display()))
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
            Body::File { path, stamp } => {
                let name = path.display().to_string();
                let file = blocking(move || {
                    let file = File::open(&path).map_err(|error| stat_error(&path, error))?;
                    let metadata = file.metadata().map_err(|error| stat_error(&path, error))?;
                    if Stamp::of(&metadata) == stamp { Ok(file) } else { Err(changed(&path)) }
                })
                .await?;
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
