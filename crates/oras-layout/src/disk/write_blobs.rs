//! Publishes verified blobs below `blobs/`, durably and under the name of their digest.

use std::collections::BTreeSet;
use std::fs::Metadata;
use std::io::Write;
use std::path::Path;

use bytes::Bytes;
use oras_fs::{StagedFile, failed_to};
use oras_spec::{Descriptor, Digest};
use oras_store::Result;

use super::blobs::{open, path_for_writing, record_use};
use super::create_layout::create_layout;
use crate::maintenance::cache_eviction;
use crate::parallel::in_parallel;

/// Files that are flushed together. All of them are open at the same time, so their number is bounded.
const GROUP: usize = 128;
/// Threads that flush one group. The file system commits its journal once for all flushes that wait at the same time.
const FLUSH_THREADS: usize = 16;

/// Writes verified blobs to the layout at `root`. With a `size_limit`, it is a cache of at most that many bytes.
///
/// In each group all files are flushed, then all are renamed, then the directories are flushed: a blob has its name
/// only once its bytes are durable.
pub(crate) fn write_all(root: &Path, size_limit: Option<u64>, blobs: &[(Descriptor, Bytes)]) -> Result<()> {
    create_layout(root)?;
    for group in blobs.chunks(GROUP) {
        let mut staged = Vec::new();
        for (node, bytes) in group.iter().filter(|(node, bytes)| !has_content(root, node, bytes)) {
            let mut file = StagedFile::create(root)?;
            file.write_all(bytes).map_err(failed_to("write", file.path()))?;
            staged.push((file, &node.digest));
        }
        let threads = staged.len().min(FLUSH_THREADS);
        in_parallel(staged.iter_mut(), threads, |(file, _)| file.sync())?;
        let mut directories = BTreeSet::new();
        for (file, digest) in staged {
            let target = path_for_writing(root, digest)?;
            if let Some(directory) = target.parent().filter(|directory| !directories.contains(*directory)) {
                oras_fs::create_durable_directories(directory)?;
                directories.insert(directory.to_owned());
            }
            rename_read_only(file, &target)?;
        }
        // Without this, the names could be lost in a power cut although the bytes are on the disk.
        directories.iter().try_for_each(|directory| oras_fs::sync_directory(directory))?;
        cache_eviction::blobs_added(root, size_limit, group.iter().map(|(node, _)| node.size).sum());
    }
    Ok(())
}

/// Returns true if the blob exists and has exactly these bytes.
fn has_content(root: &Path, node: &Descriptor, bytes: &Bytes) -> bool {
    open(root, &node.digest).ok().and_then(|blob| blob.bytes(node.size).ok().flatten()).as_ref()
        == Some(bytes)
}

/// Publishes one verified and flushed file as the blob of `digest`, and flushes its directory.
pub(crate) fn publish(
    root: &Path,
    size_limit: Option<u64>,
    mut staged: StagedFile,
    digest: &Digest,
) -> Result<()> {
    let target = path_for_writing(root, digest)?;
    let directory = target.parent().unwrap_or(root);
    oras_fs::create_durable_directories(directory)?;
    // The bytes may be old, from an upload that was resumed much later. Recording the use delays garbage collection.
    record_use(staged.file_mut());
    let published = rename_read_only(staged, &target)?;
    oras_fs::sync_directory(directory)?;
    cache_eviction::blobs_added(root, size_limit, published.len());
    Ok(())
}

/// Makes a file read-only, as blobs never change, and renames it.
fn rename_read_only(mut staged: StagedFile, target: &Path) -> Result<Metadata> {
    let failed = failed_to("write", target);
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o444);
        match staged.file_mut().set_permissions(mode) {
            // FAT, exFAT, CIFS and mounts that belong to another user store no modes. The digest protects the content.
            Err(error) if oras_fs::is_refused(&error) => oras_fs::warn_of_lost_modes(),
            set => set.map_err(failed)?,
        }
    }
    let published = staged.publish(target)?.metadata().map_err(failed)?;
    #[cfg(unix)]
    if std::os::unix::fs::MetadataExt::mode(&published) & 0o777 != 0o444 {
        oras_fs::warn_of_lost_modes();
    }
    Ok(published)
}
