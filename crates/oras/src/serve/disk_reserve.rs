//! Reserved disk space, so that deletes work when the disk is full.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use oras_fs::{StagedFile, blocking};
use oras_store::{Error, Result};
use parking_lot::Mutex;

/// The reserved bytes: more than the index of a layout with a few thousand manifests, which a delete rewrites.
const SIZE: usize = 1024 * 1024;

/// An unlinked file that occupies disk space until it is needed.
#[derive(Clone, Debug)]
pub(super) struct DiskReserve {
    directory: PathBuf,
    file: Arc<Mutex<Option<StagedFile>>>,
}

impl DiskReserve {
    /// Reserves space on the disk of `directory`, or as much of it as is free, unless `read_only`.
    pub(super) async fn new(directory: PathBuf, read_only: bool) -> Self {
        let reserve = Self { directory, file: Arc::default() };
        if !read_only {
            reserve.refill().await;
        }
        reserve
    }

    /// Frees the space. Returns true if any space was reserved.
    pub(super) fn release(&self) -> bool {
        self.file.lock().take().is_some()
    }

    /// Reserves the space again. Errors are only logged, because without the reserve only deletes on a full
    /// disk fail.
    pub(super) async fn refill(&self) {
        let (directory, slot) = (self.directory.clone(), Arc::clone(&self.file));
        let allocated = blocking(move || {
            // Locked during the write, so that two refills do not reserve the space twice.
            let mut slot = slot.lock();
            if slot.is_none() {
                *slot = Some(allocate(&directory)?);
            }
            Ok(())
        });
        if let Err(error) = allocated.await {
            let error = error.chain();
            tracing::debug!(target: "oras_serve::maintenance", error, "no space is reserved for deletes");
        }
    }
}

fn allocate(directory: &Path) -> Result<StagedFile> {
    let failed = |error| Error::io("failed to unlink the reserved file", error);
    let mut staged = StagedFile::create(directory)?;
    // On an almost full disk the write fails, and the bytes written until then are the reserve.
    drop(staged.write_all(&vec![1; SIZE]));
    // Unlinked, so that the space is freed when the process ends.
    std::fs::remove_file(staged.path()).map_err(failed)?;
    Ok(staged)
}
