//! What was found at a path, before anybody reads it; and how it is described by reading it.

use std::fs::{self, File, Metadata};
use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures::FutureExt;
use oras_spec::{Algorithm, Descriptor, Digest, Hasher, MediaType, annotation};
use oras_store::fsio::{self, blocking};
use oras_store::{Error, FileStamp, Kind, Result, Undigested};
use tempfile::{NamedTempFile, TempPath};

use crate::archive::{self, DirectoryOptions, Packed};
use crate::collection::Shared;
use crate::title::clean;

/// Files from this size on are worth a pass less over their bytes.
const LARGE: u64 = 8 << 20;
/// Files below this size are read in one go, and sent from memory if they had to be read before.
pub(crate) const SMALL: u64 = fsio::CHUNK as u64;
/// So much of all small files together is in memory.
const SMALL_IN_ALL: u64 = 8 << 20;

/// A file or directory whose title is taken, and that nobody has read. Dropped, the title is free again, and work that
/// was begun on it ends.
#[derive(Debug)]
pub struct Found {
    pub(crate) title: String,
    pub(crate) path: PathBuf,
    pub(crate) media_type: MediaType,
    pub(crate) kind: FoundKind,
    pub(crate) claim: Claim,
}

/// What is at a path.
#[derive(Clone, Copy, Debug)]
pub(crate) enum FoundKind {
    File(FileStamp),
    Directory,
    /// `/dev/null` for an empty config, `<(…)` in a shell: what can be read only once is kept.
    Once,
}

/// A title that is free again, and work that ends, unless the node was added.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) shared: Arc<Shared>,
    pub(crate) title: String,
    pub(crate) cancelled: Arc<AtomicBool>,
    pub(crate) done: bool,
}

impl Claim {
    /// Whether there is room in memory for the bytes of a small file.
    fn keeps(&self, bytes: &Bytes) -> bool {
        let mut state = self.shared.state.lock();
        let all = state.small + bytes.len() as u64;
        if all <= SMALL_IN_ALL {
            state.small = all;
        }
        all <= SMALL_IN_ALL
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.done {
            self.cancelled.store(true, Ordering::Relaxed);
            let mut state = self.shared.state.lock();
            state.titles.remove(&self.title);
        }
    }
}

/// The bytes of a node of a collection.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    Bytes(Bytes),
    File {
        path: PathBuf,
        stamp: FileStamp,
    },
    /// A packed directory, or what could be read only once: the file goes with the collection.
    Packed(Arc<TempPath>),
}

impl Found {
    /// The title that the node will have.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Returns true if one of `layers` has the title and the size of this file, and so probably its content.
    pub(crate) fn is_file_among(&self, layers: &[Descriptor]) -> bool {
        layers.iter().any(|layer| layer.title() == Some(&*self.title) && layer.size == self.size())
    }

    /// Returns true if one of `layers` has the title of this directory, and says that it holds a tar with the digest that
    /// packing the directory would give. Reads the whole directory, without compression, if a layer has the title.
    pub(crate) async fn is_directory_among(
        &self,
        layers: &[Descriptor],
        directories: DirectoryOptions,
        cancelled: &Arc<AtomicBool>,
    ) -> bool {
        let of_title = layers.iter().filter(|layer| layer.title() == Some(&*self.title));
        let digests: Vec<_> =
            of_title.filter_map(|layer| layer.annotations.get(annotation::CONTENT_DIGEST)).collect();
        if digests.is_empty() {
            return false;
        }
        let (path, title, cancelled) = (self.path.clone(), self.title.clone(), Arc::clone(cancelled));
        let digest = blocking(move || {
            archive::content_digest(&path, &title, directories.latest, u64::MAX, &cancelled)
        });
        // An error of reading ends the packing, too, which reports it.
        digest.await.is_ok_and(|digest| digests.contains(&&digest.to_string()))
    }

    /// Whether it is a directory, which will be packed.
    pub(crate) fn is_directory(&self) -> bool {
        matches!(self.kind, FoundKind::Directory)
    }

    /// The number of bytes of a file; 0 of what is none.
    pub fn size(&self) -> u64 {
        match self.kind {
            FoundKind::File(stamp) => stamp.length,
            FoundKind::Directory | FoundKind::Once => 0,
        }
    }

    /// Whether to find out the digest takes so long that sending should begin meanwhile.
    pub fn is_large(&self) -> bool {
        match self.kind {
            FoundKind::File(stamp) => stamp.length >= LARGE,
            FoundKind::Directory => true,
            FoundKind::Once => false,
        }
    }

    /// The file as bytes that are hashed while they are taken.
    pub(crate) fn undigested(&self) -> Option<Undigested> {
        let FoundKind::File(stamp) = self.kind else { return None };
        let path = self.path.clone();
        let identity = format!("{} {stamp:?}", path.display());
        let opener = move |offset: u64| {
            let path = path.clone();
            async move {
                let name = path.display().to_string();
                let file = blocking(move || open(&path, &stamp)).await?;
                Ok(fsio::read(file, offset..stamp.length, name))
            }
            .boxed()
        };
        let content = Undigested::new(self.media_type.clone(), stamp.length, Arc::new(opener));
        Some(content.identified_by(identity))
    }

    /// The descriptor of what was sent of the file, if the file is still the same.
    pub(crate) fn sent(&self, sent: &Descriptor) -> Result<Descriptor> {
        if let FoundKind::File(stamp) = self.kind {
            open(&self.path, &stamp)?;
        }
        Ok(self.file(sent.digest.clone(), sent.size))
    }

    /// Looks at `path`; what is there is not opened.
    pub(crate) fn look(
        path: &Path,
        media_type: Option<MediaType>,
        directories: DirectoryOptions,
        claim: Claim,
    ) -> Result<Self> {
        // The path of the Go tool: absolute and cleaned before it is looked at.
        let absolute = std::path::absolute(path).map_err(|error| stat_error(path, error))?;
        let path = clean(&absolute);
        let metadata = fs::metadata(&path).map_err(|error| stat_error(&path, error))?;
        if is_socket(&metadata) {
            let message = format!("{} is neither a file nor a directory", path.display());
            return Err(Error::new(Kind::Unsupported, message));
        }
        let (kind, usual) = if metadata.is_dir() {
            (FoundKind::Directory, directories.compression.media_type())
        } else if metadata.is_file() {
            (FoundKind::File(FileStamp::of(&metadata)), MediaType::LAYER_TAR)
        } else {
            (FoundKind::Once, MediaType::LAYER_TAR)
        };
        let media_type = media_type.unwrap_or(usual);
        Ok(Self { title: claim.title.clone(), path, media_type, kind, claim })
    }

    /// Reads it all: its descriptor, and where its bytes are to be read again.
    pub(crate) fn describe(&self, directories: DirectoryOptions) -> Result<(Descriptor, Body)> {
        let cancelled = &*self.claim.cancelled;
        match self.kind {
            FoundKind::Directory => {
                let failed = |error| Error::io(format!("failed to pack {}", self.path.display()), error);
                let mut file = NamedTempFile::new().map_err(failed)?;
                let packed = archive::pack(&self.path, &self.title, directories, cancelled, |bytes| {
                    file.write_all(&bytes).map_err(failed)
                })?;
                Ok((self.packed(&packed), Body::Packed(Arc::new(file.into_temp_path()))))
            }
            FoundKind::Once => {
                let failed = |error| Error::io(format!("failed to keep {}", self.path.display()), error);
                let mut kept = NamedTempFile::new().map_err(failed)?;
                let (digest, size) = hash_into(&self.path, kept.as_file_mut(), cancelled)?;
                Ok((self.file(digest, size), Body::Packed(Arc::new(kept.into_temp_path()))))
            }
            FoundKind::File(stamp) => {
                let (digest, bytes) = self.hash(&stamp)?;
                let body = bytes.filter(|bytes| self.claim.keeps(bytes)).map(Body::Bytes);
                let body = body.unwrap_or_else(|| Body::File { path: self.path.clone(), stamp });
                Ok((self.file(digest, stamp.length), body))
            }
        }
    }

    /// The digest of the file; the bytes of a small one, too.
    fn hash(&self, stamp: &FileStamp) -> Result<(Digest, Option<Bytes>)> {
        if stamp.length < SMALL {
            let bytes = read_small(&self.path, stamp)?;
            return Ok((Digest::sha256(&bytes), Some(bytes)));
        }
        let (digest, size) = hash_into(&self.path, &mut std::io::sink(), &self.claim.cancelled)?;
        if size == stamp.length { Ok((digest, None)) } else { Err(changed(&self.path)) }
    }

    /// The descriptor of a file.
    pub(crate) fn file(&self, digest: Digest, size: u64) -> Descriptor {
        let mut descriptor = Descriptor::new(self.media_type.clone(), digest, size);
        descriptor.annotations.insert(annotation::TITLE.to_owned(), self.title.clone());
        descriptor
    }

    /// The descriptor of a directory.
    pub(crate) fn packed(&self, packed: &Packed) -> Descriptor {
        let mut descriptor = self.file(packed.digest.clone(), packed.size);
        let told = [
            (annotation::CONTENT_DIGEST, packed.content_digest.to_string()),
            (annotation::UNPACK, "true".to_owned()),
        ];
        descriptor.annotations.extend(told.map(|(key, value)| (key.to_owned(), value)));
        descriptor
    }
}

/// Opens the file at `path` if it is still the one of `stamp`.
pub(crate) fn open(path: &Path, stamp: &FileStamp) -> Result<File> {
    let file = File::open(path).map_err(|error| stat_error(path, error))?;
    check(&file, path, stamp)?;
    Ok(file)
}

/// All bytes of a file that is still the one of `stamp`.
pub(crate) fn read_small(path: &Path, stamp: &FileStamp) -> Result<Bytes> {
    let failed = |error| Error::io(format!("failed to read {}", path.display()), error);
    let file = File::open(path).map_err(failed)?;
    check(&file, path, stamp)?;
    fsio::read_whole(&file, stamp.length).map_err(failed)?.ok_or_else(|| changed(path))
}

/// Refuses a file that was written to. A link to it that was made meanwhile, or another mode, is no reason to.
pub(crate) fn check(file: &File, path: &Path, stamp: &FileStamp) -> Result<()> {
    let metadata = file.metadata().map_err(|error| stat_error(path, error))?;
    let now = FileStamp { changed: stamp.changed, ..FileStamp::of(&metadata) };
    if now == *stamp { Ok(()) } else { Err(changed(path)) }
}

#[cfg(unix)]
fn is_socket(metadata: &Metadata) -> bool {
    std::os::unix::fs::FileTypeExt::is_socket(&metadata.file_type())
}

#[cfg(not(unix))]
fn is_socket(_: &Metadata) -> bool {
    false
}

/// Reads a file to its end, handing everything on; its digest and length.
fn hash_into(path: &Path, to: &mut impl Write, cancelled: &AtomicBool) -> Result<(Digest, u64)> {
    let failed = |error| Error::io(format!("failed to read {}", path.display()), error);
    let file = File::open(path).map_err(failed)?;
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let (mut size, mut written) = (0, Ok(()));
    let ended = fsio::read_through(file, |piece| {
        hasher.update(piece);
        size += piece.len() as u64;
        written = to.write_all(piece);
        match written.is_err() || cancelled.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    });
    written.map_err(failed)?;
    match ended.map_err(failed)? {
        true => Ok((hasher.finish(), size)),
        false => Err(Error::new(Kind::Other, "cancelled")),
    }
}

/// The words of the Go tool, which name the absolute path.
pub(crate) fn stat_error(path: &Path, error: std::io::Error) -> Error {
    match error.kind() {
        std::io::ErrorKind::NotFound => {
            Error::new(Kind::Io, format!("stat {}: no such file or directory", path.display()))
        }
        _ => Error::io(format!("stat {}", path.display()), error),
    }
}

fn changed(path: &Path) -> Error {
    Error::new(Kind::InvalidContent, format!("{} changed while it was being pushed", path.display()))
}
