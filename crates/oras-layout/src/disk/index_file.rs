//! Reads and replaces `index.json`.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use oras_spec::layout::INDEX_FILE;
use oras_store::{Error, Result};

use crate::index::Index;
use crate::size_limits::{self, MAX_INDEX_SIZE};

/// The identity of a version of `index.json`. Every change replaces the file, so the inode changes, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IndexStamp {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

impl IndexStamp {
    /// Returns the stamp of the current index. A missing index has a stamp, too.
    pub(crate) fn of(root: &Path) -> Result<Self> {
        let path = root.join(INDEX_FILE);
        let metadata = match fs::metadata(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            found => {
                Some(found.map_err(|error| Error::io(format!("failed to read {}", path.display()), error))?)
            }
        };
        #[cfg(unix)]
        let inode = metadata.as_ref().map_or(0, std::os::unix::fs::MetadataExt::ino);
        #[cfg(not(unix))]
        let inode = 0;
        Ok(Self {
            modified: metadata.as_ref().and_then(|metadata| metadata.modified().ok()),
            length: metadata.as_ref().map_or(0, fs::Metadata::len),
            inode,
        })
    }
}

/// Reads the index. A missing file is an empty index.
///
/// # Errors
/// `InvalidContent`; `TooLarge`; `Io`.
pub(crate) fn read_index(root: &Path) -> Result<Index> {
    let path = root.join(INDEX_FILE);
    match oras_fs::read_limited(&path, MAX_INDEX_SIZE) {
        Ok(bytes) => {
            Index::parse(bytes).map_err(|error| error.context(format!("failed to read {}", path.display())))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Index::default()),
        Err(error) if error.kind() == std::io::ErrorKind::FileTooLarge => {
            // The size is only for the message. The file may have changed since it was read.
            let size = fs::metadata(&path).map_or(0, |metadata| metadata.len());
            Err(size_limits::too_large(&path.display().to_string(), size, MAX_INDEX_SIZE))
        }
        Err(error) => Err(Error::io(format!("failed to read {}", path.display()), error)),
    }
}

/// Replaces the index atomically. The caller must hold the lock of the layout.
///
/// # Errors
/// `TooLarge` if the index exceeds [`MAX_INDEX_SIZE`]. The existing file is not changed.
pub(crate) fn replace_index(root: &Path, index: &Index) -> Result<()> {
    let (path, bytes) = (root.join(INDEX_FILE), index.to_bytes());
    size_limits::check_index(&path.display().to_string(), &bytes)?;
    oras_fs::replace(&path, &bytes, 0o666)
}
