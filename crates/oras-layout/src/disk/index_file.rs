//! Reads and replaces `index.json`.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use oras_fs::{FileStamp, failed_to, if_exists};
use oras_spec::layout::INDEX_FILE;
#[cfg(unix)]
use oras_spec::layout::MARKER_FILE;
use oras_store::{ErrorKind, Result};

#[cfg(unix)]
use super::flat_index;
use crate::index::Index;
use crate::size_limits::{self, MAX_INDEX_SIZE};

/// Returns the stamp of the current index, or `None` if there is none. Every change replaces the file, so the inode
/// changes, too.
pub(crate) fn index_stamp(root: &Path) -> Result<Option<FileStamp>> {
    let path = root.join(INDEX_FILE);
    let metadata = if_exists(fs::metadata(&path)).map_err(failed_to("read", &path))?;
    Ok(metadata.as_ref().map(FileStamp::of))
}

/// How often a malformed index is read again, and the pause in between. The Go tool writes the file in place, so for a
/// moment it is empty or incomplete.
const ATTEMPTS: u32 = 4;
const PAUSE: Duration = Duration::from_millis(5);

/// Reads the index. A missing file is an empty index. A write that a power failure has interrupted is completed first.
///
/// # Errors
/// `InvalidContent`; `TooLarge`; `Io`.
pub(crate) fn read_index(root: &Path) -> Result<Index> {
    let mut read = parse_index(root);
    for _ in 1..ATTEMPTS {
        if !read.as_ref().is_err_and(|error| error.kind() == ErrorKind::InvalidContent) {
            break;
        }
        #[cfg(unix)]
        complete_interrupted(root);
        thread::sleep(PAUSE);
        read = parse_index(root);
    }
    read
}

/// Completes an interrupted write unless another process, or the caller, has the lock.
#[cfg(unix)]
fn complete_interrupted(root: &Path) {
    let marker = oras_fs::open_regular_or_link(&root.join(MARKER_FILE));
    if let Ok((marker, _)) = marker
        && marker.try_lock().is_ok()
    {
        flat_index::complete_interrupted(root);
    }
}

fn parse_index(root: &Path) -> Result<Index> {
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
    #[cfg(unix)]
    let editable_from = flat_index::editable_from(root);
    oras_fs::replace(&path, &bytes, 0o666)?;
    #[cfg(unix)]
    flat_index::index_replaced(root, editable_from);
    Ok(())
}
