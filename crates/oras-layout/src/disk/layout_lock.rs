//! The lock of a layout, which all writing processes share: an advisory lock on the `oci-layout` file.

use std::fs::File;
use std::path::Path;

use oras_fs::failed_to;
use oras_spec::layout::MARKER_FILE;
use oras_store::Result;

/// The lock of a layout. Dropping it unlocks the layout.
pub(crate) struct LayoutLock {
    _file: File,
    /// False on a file system without locks: other processes may write at the same time.
    pub(crate) is_exclusive: bool,
}

/// Waits until no other process changes the layout. On a file system without locks this returns at once.
pub(crate) fn lock_layout(root: &Path) -> Result<LayoutLock> {
    let marker = root.join(MARKER_FILE);
    // Unlike `index.json`, the marker is never replaced. After a replacement, other processes would lock a new file.
    let (lock, _) = oras_fs::open_regular_or_link(&marker).map_err(failed_to("open", &marker))?;
    let is_exclusive = oras_fs::lock(&lock).map_err(failed_to("lock", &marker))?;
    Ok(LayoutLock { _file: lock, is_exclusive })
}
