//! Reads the file at a scanned path, and fails if the file changed since the scan.

use std::fs::File;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;

use bytes::Bytes;
use oras_fs::{FileStamp, failed_to};
use oras_spec::{Algorithm, Digest, Hasher};
use oras_store::{Error, ErrorKind, Result};
use tokio_util::sync::CancellationToken;

use crate::cancel::check_cancelled;

/// Files below this size are read in one step, and `hash` also returns their bytes.
pub(crate) const SMALL: u64 = oras_fs::CHUNK as u64;

/// Opens the file at `path`.
///
/// # Errors
/// `Io`; `InvalidContent` if the file no longer has `stamp`.
pub(crate) fn open(path: &Path, stamp: &FileStamp) -> Result<File> {
    let file = File::open(path).map_err(|error| stat_error(path, error))?;
    check_unchanged(&file, path, stamp)?;
    Ok(file)
}

/// Reads the whole file at `path`.
///
/// # Errors
/// As [`open`].
pub(crate) fn read_small(path: &Path, stamp: &FileStamp) -> Result<Bytes> {
    let failed = failed_to("read", path);
    let file = File::open(path).map_err(failed)?;
    check_unchanged(&file, path, stamp)?;
    oras_fs::read_whole(&file, stamp.length).map_err(failed)?.ok_or_else(|| changed(path))
}

fn check_unchanged(file: &File, path: &Path, stamp: &FileStamp) -> Result<()> {
    let metadata = file.metadata().map_err(|error| stat_error(path, error))?;
    // A new hard link or another mode sets the inode's change time only; the content is the same.
    let now = FileStamp { changed: stamp.changed, ..FileStamp::of(&metadata) };
    if now == *stamp { Ok(()) } else { Err(changed(path)) }
}

/// Returns the digest of the file, and the bytes of a small one.
pub(crate) fn hash(
    path: &Path,
    stamp: &FileStamp,
    cancel: &CancellationToken,
) -> Result<(Digest, Option<Bytes>)> {
    if stamp.length < SMALL {
        let bytes = read_small(path, stamp)?;
        return Ok((Digest::sha256(&bytes), Some(bytes)));
    }
    let (digest, size) = copy_and_hash(path, &mut std::io::sink(), cancel)?;
    // A change that keeps the length is detected when the file is opened to be sent.
    if size == stamp.length { Ok((digest, None)) } else { Err(changed(path)) }
}

/// Copies the file at `path` to `to`. Returns its digest and its length.
pub(crate) fn copy_and_hash(
    path: &Path,
    to: &mut impl Write,
    cancel: &CancellationToken,
) -> Result<(Digest, u64)> {
    let failed = failed_to("read", path);
    let file = File::open(path).map_err(failed)?;
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let mut size = 0;
    let mut written = Ok(());
    let read = oras_fs::read_through(file, |piece| {
        hasher.update(piece);
        size += piece.len() as u64;
        written = check_cancelled(cancel).and_then(|()| to.write_all(piece).map_err(failed));
        if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    written?;
    read.map_err(failed)?;
    Ok((hasher.finish(), size))
}

/// Returns an error in the words of the Go tool, which names the absolute path.
pub(crate) fn stat_error(path: &Path, error: std::io::Error) -> Error {
    match error.kind() {
        std::io::ErrorKind::NotFound => {
            Error::new(ErrorKind::Io, format!("stat {}: no such file or directory", path.display()))
        }
        _ => Error::io(format!("stat {}", path.display()), error),
    }
}

fn changed(path: &Path) -> Error {
    Error::new(ErrorKind::InvalidContent, format!("{} changed while it was being pushed", path.display()))
}
