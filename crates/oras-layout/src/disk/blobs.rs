//! The files below `blobs/`: finds, opens, claims, lists and deletes them.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use oras_fs::{failed_to, if_exists};
use oras_spec::layout::BLOBS_DIR;
use oras_spec::{Algorithm, Descriptor, Digest};
use oras_store::{Error, ErrorKind, Result};

use super::file_digest::has_digest;
use crate::blob::{Blob, read_opened};
use crate::not_found::reference_not_found;

/// Returns the path of a blob. A digest contains neither `/` nor `.`, so the path stays below `root`.
pub(crate) fn path(root: &Path, digest: &Digest) -> PathBuf {
    root.join(BLOBS_DIR).join(digest.algorithm_name()).join(digest.encoded())
}

/// Opens a blob for reading.
///
/// A link to a regular file is followed, because build tools link blobs into layouts. The file is hashed first: a
/// malicious layout could otherwise make its readers send any file.
///
/// # Errors
/// `NotFound`; `InvalidContent` if it is not a regular file; `DigestMismatch` for a link to other content; `Io`.
pub(crate) fn open(root: &Path, digest: &Digest) -> Result<Blob> {
    let path = path(root, digest);
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => reference_not_found(root, &digest.to_string()),
        io::ErrorKind::InvalidInput => {
            Error::new(ErrorKind::InvalidContent, format!("{} is not a regular file", path.display()))
        }
        _ => failed_to("open", &path)(error),
    };
    let (file, size) = match oras_fs::open_regular(&path) {
        Err(_) if path.is_symlink() => {
            let (file, size) = oras_fs::open_regular_or_link(&path).map_err(failed)?;
            let verified = has_digest(&file, digest, size, || true);
            if verified.map_err(failed_to("read", &path))? != Some(true) {
                let message = format!("the link {} leads to other content", path.display());
                return Err(Error::new(ErrorKind::DigestMismatch, message));
            }
            (file, size)
        }
        opened => opened.map_err(failed)?,
    };
    Ok(Blob { file: file.into(), start: 0, size })
}

/// Returns the path of a blob that is about to be written or deleted.
///
/// # Errors
/// `Denied` if `blobs` or the directory of the algorithm is a link: another program owns the target of the link, so
/// nothing is written through it. `Io` if the metadata of the directories cannot be read.
pub(crate) fn path_for_writing(root: &Path, digest: &Digest) -> Result<PathBuf> {
    let path = path(root, digest);
    for directory in path.ancestors().skip(1).take(2) {
        match fs::symlink_metadata(directory) {
            Ok(found) if found.is_symlink() => {
                let link = directory.display();
                let message = format!("{link} is a symbolic link: the layout can be read, not changed");
                return Err(Error::new(ErrorKind::Denied, message));
            }
            Err(error) if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Err(failed_to("look at", directory)(error));
            }
            _ => {}
        }
    }
    Ok(path)
}

/// Returns a function that reads blobs, for reading many of them: the directory is opened only once. The function
/// returns `None` for a blob that is missing or does not have the size of its descriptor.
pub(crate) fn reader(root: &Path) -> impl Fn(&Descriptor) -> Result<Option<Bytes>> + Sync {
    let algorithm = Algorithm::Sha256;
    // Nearly all digests are SHA-256. Others are opened one by one.
    let directory = File::open(root.join(BLOBS_DIR).join(algorithm.as_str())).ok();
    move |node| {
        let directory = directory.as_ref().filter(|_| node.digest.algorithm() == Some(algorithm));
        let read = directory.and_then(|directory| {
            oras_fs::read_regular_at(directory, &node.digest.encoded(), node.size).ok()
        });
        // If this fails, `open` is used instead. It follows links and returns the error.
        read.map_or_else(|| read_opened(open(root, &node.digest), node.size), |bytes| Ok(Some(bytes)))
    }
}

/// Returns true if a file of the right size has the name of the blob. Its bytes are not verified.
pub(crate) fn is_present(root: &Path, descriptor: &Descriptor) -> bool {
    fs::metadata(path(root, &descriptor.digest))
        .is_ok_and(|metadata| metadata.is_file() && metadata.len() == descriptor.size)
}

/// Marks an existing blob as in use, which protects it from garbage collection, and returns true. Returns false if
/// the blob does not exist or does not have `size` bytes; with `None` any size matches.
///
/// The use is recorded unless an earlier use was recorded within `interval`.
///
/// # Errors
/// `Io`. It is then unknown whether the blob exists.
pub(crate) fn claim(root: &Path, digest: &Digest, size: Option<u64>, interval: Duration) -> Result<bool> {
    let path = path(root, digest);
    let is_blob = |found: &Metadata| found.is_file() && size.is_none_or(|size| found.len() == size);
    let look = || {
        let found = if_exists(fs::metadata(&path)).map_err(failed_to("look for", &path))?;
        Ok::<_, Error>(found.filter(is_blob))
    };
    let Some(found) = look()? else { return Ok(false) };
    if is_younger_than(&found, interval) {
        return Ok(true);
    }
    // Only the owner of the file can set its time; other users rely on the delay of the garbage collection. The file
    // behind a link belongs to another program and is not changed.
    if path_for_writing(root, digest).is_ok_and(|path| !path.is_symlink()) {
        drop(open(root, digest).map(|blob| record_use(&blob.file)));
    }
    // The garbage collection renames a blob before it checks the time. If the blob still has its name after the time was
    // set, the collection sees that time.
    Ok(look()?.is_some())
}

/// Records that a blob is used now, in its modification time. The access time does not work for this, because the
/// garbage collection reads every manifest.
pub(crate) fn record_use(blob: &File) {
    // Best effort: without it the delay of the garbage collection starts earlier.
    drop(blob.set_modified(SystemTime::now()));
}

/// Returns true if a use of the blob was recorded within `limit`.
pub(crate) fn is_younger_than(blob: &Metadata, limit: Duration) -> bool {
    let age = blob.modified().map(|modified| SystemTime::now().duration_since(modified));
    // A time in the future counts as recent: the clock was changed, and the blob may be in use.
    age.is_ok_and(|age| age.map_or(true, |age| age < limit))
}

/// Returns true if `is_used` returns true for the metadata of the file, or if they cannot be read: the file may be in
/// use then.
pub(crate) fn may_be_used(path: &Path, is_used: impl FnOnce(&Metadata) -> bool) -> bool {
    if_exists(fs::symlink_metadata(path)).map_or(true, |found| found.is_some_and(|found| is_used(&found)))
}

/// Deletes a blob. A missing blob is not an error.
pub(crate) fn remove(root: &Path, digest: &Digest) -> Result<()> {
    let path = path_for_writing(root, digest)?;
    if_exists(fs::remove_file(&path)).map(drop).map_err(failed_to("remove", &path))
}

/// The blobs of a layout.
#[derive(Default)]
pub(crate) struct BlobList {
    /// The size of all blobs in bytes.
    pub(crate) total_size: u64,
    /// The blobs that were not used recently.
    pub(crate) old: Vec<OldBlob>,
}

/// A blob that was not used recently.
pub(crate) struct OldBlob {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    pub(crate) last_used: SystemTime,
}

/// Lists the blobs. A directory that is a link is skipped, because another program owns the target of the link.
pub(crate) fn list(root: &Path, is_recent: impl Fn(&Metadata) -> bool) -> BlobList {
    let mut list = BlobList::default();
    let blobs = root.join(BLOBS_DIR);
    if fs::symlink_metadata(&blobs).map_or(true, |found| found.is_symlink()) {
        return list;
    }
    for directory in fs::read_dir(blobs).into_iter().flatten().flatten() {
        if directory.file_type().map_or(true, |kind| kind.is_symlink()) {
            continue;
        }
        let algorithm = directory.file_name();
        for entry in fs::read_dir(directory.path()).into_iter().flatten().flatten() {
            let Some(found) = entry.metadata().ok().filter(Metadata::is_file) else { continue };
            list.total_size += found.len();
            let name = format!("{}:{}", algorithm.display(), entry.file_name().display());
            // A file without the name of a digest belongs to another program.
            if let (Ok(digest), false) = (name.parse(), is_recent(&found)) {
                let last_used = last_used(&found);
                list.old.push(OldBlob { digest, size: found.len(), last_used });
            }
        }
    }
    list
}

/// Returns when a blob was last used: read or written. Where the file system records no access times, it is when the
/// blob was written.
pub(crate) fn last_used(blob: &Metadata) -> SystemTime {
    let times = [blob.accessed().ok(), blob.modified().ok()];
    times.into_iter().flatten().max().unwrap_or(UNIX_EPOCH)
}
