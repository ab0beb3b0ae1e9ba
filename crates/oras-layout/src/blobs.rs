//! The files below `blobs/`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use oras_spec::layout::BLOBS_DIR;
use oras_spec::{Descriptor, Digest};
use oras_store::fsio::{self, Durability, Staged, blocking};
use oras_store::{Content, Error, Kind, Pushed, Result};

use crate::place::{Blob, missing};

/// The path of a blob. A digest contains neither `/` nor `.`, so the path stays inside.
pub(crate) fn path(root: &Path, digest: &Digest) -> PathBuf {
    root.join(BLOBS_DIR).join(digest.algorithm_name()).join(digest.encoded())
}

/// Opens a blob for reading.
pub(crate) fn open(root: &Path, digest: &Digest) -> Result<Blob> {
    let path = path(root, digest);
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => missing(root, &digest.to_string()),
        _ => Error::io(format!("failed to open {}", path.display()), error),
    };
    let metadata = fs::symlink_metadata(&path).map_err(failed)?;
    if metadata.is_symlink() {
        // A link may share blobs within the layout, not smuggle in files from elsewhere.
        let inside = path.canonicalize().and_then(|found| Ok(found.starts_with(root.canonicalize()?)));
        if !inside.map_err(failed)? {
            let message = format!("{} is a link that leads out of the layout", path.display());
            return Err(Error::new(Kind::InvalidContent, message));
        }
    }
    // Asked before opening: to open a pipe is to wait for its writer.
    if !fs::metadata(&path).map_err(failed)?.is_file() {
        return Err(Error::new(Kind::InvalidContent, format!("{} is not a file", path.display())));
    }
    let file = File::open(&path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    Ok(Blob { file: file.into(), start: 0, size })
}

/// Whether a file of the right length has the blob's name. Its bytes are verified when they are read.
pub(crate) fn is_there(root: &Path, descriptor: &Descriptor) -> bool {
    fs::metadata(path(root, &descriptor.digest))
        .is_ok_and(|metadata| metadata.is_file() && metadata.len() == descriptor.size)
}

/// Removes a blob; one that is not there is removed.
pub(crate) fn remove(root: &Path, digest: &Digest) -> Result<()> {
    let path = path(root, digest);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io(format!("failed to remove {}", path.display()), error))
        }
        _ => Ok(()),
    }
}

/// Writes a blob: verified, flushed, then named.
pub(crate) async fn write(root: &Path, content: &Content) -> Result<Pushed> {
    let (owned, descriptor) = (root.to_owned(), content.descriptor().clone());
    let there = blocking(move || {
        let there = is_there(&owned, &descriptor);
        if !there {
            crate::journal::create(&owned)?;
        }
        Ok(there)
    });
    if there.await? {
        return Ok(Pushed::Existed);
    }
    let staged = fsio::stage(content, root, Durability::Synced).await?;
    let (root, digest) = (root.to_owned(), content.descriptor().digest.clone());
    blocking(move || publish(&root, staged, &digest)).await?;
    Ok(Pushed::Copied)
}

/// Gives a verified file its name, read-only as blobs never change.
pub(crate) fn publish(root: &Path, staged: Staged, digest: &Digest) -> Result<()> {
    let target = path(root, digest);
    let directory = target.parent().unwrap_or(root).to_owned();
    fsio::create_directories(&directory)?;
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o444);
        fs::set_permissions(staged.path(), mode)
            .map_err(|error| Error::io(format!("failed to write {}", target.display()), error))?;
    }
    staged.publish(&target)?;
    fsio::sync_directory(&directory)?;
    Ok(())
}
