//! A path that was scanned for a push: its type, and the descriptor of the layer that is made from it.

use std::fs::{self, Metadata};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::FutureExt;
use oras_fs::{FileStamp, blocking, failed_to};
use oras_spec::{Descriptor, Digest, MediaType, annotation};
use oras_store::{Error, ErrorKind, Result, UnhashedContent};
use parking_lot::Mutex;
use tempfile::NamedTempFile;
use tokio_util::sync::CancellationToken;

use super::node_content::{NodeContent, Nodes};
use super::source_file::{self, stat_error};
use super::title_claim::TitleClaim;
use crate::archive::{self, DirectoryOptions, PackedDirectory};
use crate::title::clean;

/// Files of at least this size are hashed while they are sent, which saves one pass over their bytes.
const LARGE: u64 = 8 << 20;

/// A file or directory that was scanned but not read. It reserves its title. Dropping it releases the title and
/// cancels the work on it.
///
/// [`Collection::describe`](crate::Collection::describe) or [`Collection::send`](crate::Collection::send) adds it to
/// its collection.
#[derive(Debug)]
pub struct ScannedPath {
    pub(crate) path: PathBuf,
    pub(crate) media_type: MediaType,
    kind: PathKind,
    pub(crate) claim: TitleClaim,
}

/// The type of the content at a path.
#[derive(Clone, Copy, Debug)]
enum PathKind {
    File(FileStamp),
    Directory,
    /// Content that can be read only once, such as `<(…)` in a shell, or `/dev/null` for an empty config. Describing it
    /// copies it to a temporary file.
    ReadOnce,
}

impl ScannedPath {
    /// Reads the metadata of `path` without opening it. A link is followed.
    ///
    /// # Errors
    /// `Io` if the metadata cannot be read; `Unsupported` for a socket.
    pub(crate) fn scan(
        path: &Path,
        media_type: Option<MediaType>,
        directories: DirectoryOptions,
        claim: TitleClaim,
    ) -> Result<Self> {
        // Error messages name the same path as the Go tool: absolute, and cleaned before the file system resolves it.
        let absolute = std::path::absolute(path).map_err(|error| stat_error(path, error))?;
        let path = clean(&absolute);
        let metadata = fs::metadata(&path).map_err(|error| stat_error(&path, error))?;
        // A socket cannot be opened like a file.
        if is_socket(&metadata) {
            let message = format!("{} is neither a file nor a directory", path.display());
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let (kind, default_type) = if metadata.is_dir() {
            (PathKind::Directory, directories.compression.media_type())
        } else if metadata.is_file() {
            (PathKind::File(FileStamp::of(&metadata)), MediaType::LAYER_TAR)
        } else {
            (PathKind::ReadOnce, MediaType::LAYER_TAR)
        };
        Ok(Self { path, media_type: media_type.unwrap_or(default_type), kind, claim })
    }

    /// Returns the title that the node will have.
    pub fn title(&self) -> &str {
        &self.claim.title
    }

    /// Returns the size of a file in bytes, and 0 for anything else.
    pub fn size(&self) -> u64 {
        if let PathKind::File(stamp) = self.kind { stamp.length } else { 0 }
    }

    /// Returns true if hashing takes so long that sending should start at the same time.
    pub fn is_large(&self) -> bool {
        self.is_directory() || self.size() >= LARGE
    }

    /// Returns true for a directory, which is packed.
    pub(crate) fn is_directory(&self) -> bool {
        matches!(self.kind, PathKind::Directory)
    }

    /// Returns true for a file that is quick to read and hash.
    pub(crate) fn is_small_file(&self) -> bool {
        matches!(self.kind, PathKind::File(_)) && !self.is_large()
    }

    /// Returns true if one of `layers` has the title and the size of this file, and so probably its content.
    pub(crate) fn is_file_among(&self, layers: &[Descriptor]) -> bool {
        layers.iter().any(|layer| layer.title() == Some(self.title()) && layer.size == self.size())
    }

    /// Returns true if one of `layers` has the title of this directory and the content digest that packing it would
    /// give. If a layer has the title, the whole directory is read, without compression.
    pub(crate) async fn is_directory_among(
        &self,
        layers: &[Descriptor],
        directories: DirectoryOptions,
        cancel: &CancellationToken,
    ) -> bool {
        let same_title = layers.iter().filter(|layer| layer.title() == Some(self.title()));
        let digests: Vec<_> =
            same_title.filter_map(|layer| layer.annotations.get(annotation::CONTENT_DIGEST)).collect();
        if digests.is_empty() {
            return false;
        }
        let (path, title, cancel) = (self.path.clone(), self.title().to_owned(), cancel.clone());
        let digest =
            blocking(move || archive::content_digest(&path, &title, directories.latest, u64::MAX, &cancel));
        // A read error also ends the packing, which reports it.
        digest.await.is_ok_and(|digest| digests.contains(&&digest.to_string()))
    }

    /// Returns the file as content that is hashed while it is sent; `None` if this is not a file.
    pub(crate) fn unhashed_content(&self) -> Option<UnhashedContent> {
        let PathKind::File(stamp) = self.kind else { return None };
        let path = self.path.clone();
        // The identity includes the stamp, so that an upload is resumed only if the file is unchanged.
        // `oras partial ls` shows the identity.
        let stamp_digest = Digest::sha256(format!("{stamp:?}").as_bytes());
        let identity = format!("{} {}", path.display(), stamp_digest.short());
        let open_at = move |offset: u64| {
            let path = path.clone();
            async move {
                let name = path.display().to_string();
                let file = blocking(move || source_file::open(&path, &stamp)).await?;
                Ok(oras_fs::read(file, offset..stamp.length, name))
            }
            .boxed()
        };
        let content = UnhashedContent::new(self.media_type.clone(), stamp.length, Arc::new(open_at));
        Some(content.identified_by(identity))
    }

    /// Returns the descriptor for content that was sent from this file.
    ///
    /// # Errors
    /// `InvalidContent` if the file changed since it was scanned.
    pub(crate) fn sent_descriptor(&self, sent: &Descriptor) -> Result<Descriptor> {
        if let PathKind::File(stamp) = self.kind {
            source_file::open(&self.path, &stamp)?;
        }
        Ok(self.descriptor(sent.digest.clone(), sent.size))
    }

    /// Reads the whole content. Returns the descriptor, and the location from which the bytes can be read again.
    pub(crate) fn describe(
        &self,
        directories: DirectoryOptions,
        nodes: &Mutex<Nodes>,
    ) -> Result<(Descriptor, NodeContent)> {
        let cancel = &self.claim.cancel;
        match self.kind {
            PathKind::Directory => {
                let failed = failed_to("pack", &self.path);
                let mut file = NamedTempFile::new().map_err(failed)?;
                let packed =
                    archive::pack_directory(&self.path, self.title(), directories, cancel, |bytes| {
                        file.write_all(&bytes).map_err(failed)
                    })?;
                let content = NodeContent::TempFile(Arc::new(file.into_temp_path()));
                Ok((self.packed_descriptor(&packed), content))
            }
            PathKind::ReadOnce => {
                let mut file = NamedTempFile::new().map_err(failed_to("keep", &self.path))?;
                let (digest, size) = source_file::copy_and_hash(&self.path, file.as_file_mut(), cancel)?;
                let content = NodeContent::TempFile(Arc::new(file.into_temp_path()));
                Ok((self.descriptor(digest, size), content))
            }
            PathKind::File(stamp) => {
                let (digest, bytes) = source_file::hash(&self.path, &stamp, cancel)?;
                // Without room in memory the bytes are dropped, and the file is read again when it is sent.
                let bytes = bytes.filter(|bytes| nodes.lock().reserve_small(bytes));
                let content = match bytes {
                    Some(bytes) => NodeContent::Bytes(bytes),
                    None => NodeContent::File { path: self.path.clone(), stamp },
                };
                Ok((self.descriptor(digest, stamp.length), content))
            }
        }
    }

    fn descriptor(&self, digest: Digest, size: u64) -> Descriptor {
        let mut descriptor = Descriptor::new(self.media_type.clone(), digest, size);
        descriptor.annotations.insert(annotation::TITLE.to_owned(), self.title().to_owned());
        descriptor
    }

    /// Returns the descriptor of this directory once it is packed.
    pub(crate) fn packed_descriptor(&self, packed: &PackedDirectory) -> Descriptor {
        let mut descriptor = self.descriptor(packed.digest.clone(), packed.size);
        let content_digest = (annotation::CONTENT_DIGEST.to_owned(), packed.content_digest.to_string());
        descriptor.annotations.extend([content_digest, (annotation::UNPACK.to_owned(), "true".to_owned())]);
        descriptor
    }
}

#[cfg(unix)]
fn is_socket(metadata: &Metadata) -> bool {
    std::os::unix::fs::FileTypeExt::is_socket(&metadata.file_type())
}

#[cfg(not(unix))]
fn is_socket(_: &Metadata) -> bool {
    false
}
