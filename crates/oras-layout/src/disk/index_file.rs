//! Reads and replaces `index.json`.

use std::fs;
use std::path::Path;

use oras_fs::{FileStamp, failed_to, if_exists};
use oras_spec::layout::INDEX_FILE;
use oras_store::Result;

use crate::index::Index;
use crate::size_limits::{self, MAX_INDEX_SIZE};

/// Returns the stamp of the current index, or `None` if there is none. Every change replaces the file, so the inode
/// changes, too.
pub(crate) fn index_stamp(root: &Path) -> Result<Option<FileStamp>> {
    let path = root.join(INDEX_FILE);
    let metadata = if_exists(fs::metadata(&path)).map_err(failed_to("read", &path))?;
    Ok(metadata.as_ref().map(FileStamp::of))
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
        Err(error) => Err(failed_to("read", &path)(error)),
    }
}

/// Replaces the index atomically. The caller must hold the lock of the layout.
///
/// # Errors
/// `TooLarge` if the index exceeds [`MAX_INDEX_SIZE`]. The existing file is not changed.
pub(crate) fn replace_index(root: &Path, index: &Index) -> Result<()> {
    let (path, bytes) = (root.join(INDEX_FILE), index.to_bytes());
    size_limits::check_index(&path.display().to_string(), &bytes)?;
    oras_fs::replace(&path, &bytes, 0o666)?;
    #[cfg(unix)]
    super::flat_index::index_replaced(root);
    Ok(())
}
