//! Room that is kept on a disk, so that deletes work when the disk is full.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use oras_store::fsio::{Staged, blocking};
use oras_store::{Error, Result};
use parking_lot::Mutex;

/// Bytes that are kept: more than the index of a layout with a few thousand manifests, which a delete writes anew.
const SIZE: usize = 1024 * 1024;

/// A file without a name that takes room until it is needed.
#[derive(Clone, Debug)]
pub(super) struct Reserve {
    directory: PathBuf,
    file: Arc<Mutex<Option<Staged>>>,
}

impl Reserve {
    /// Room on the disk of `directory`, as far as there is some.
    pub(super) async fn new(directory: PathBuf) -> Self {
        let reserve = Self { directory, file: Arc::default() };
        reserve.keep().await;
        reserve
    }

    /// Gives the room back. Returns true if there was some.
    pub(super) fn release(&self) -> bool {
        self.file.lock().take().is_some()
    }

    /// Takes the room again. Best effort: without it only deletes on a full disk fail.
    pub(super) async fn keep(&self) {
        let (directory, slot) = (self.directory.clone(), Arc::clone(&self.file));
        let kept = blocking(move || {
            let mut slot = slot.lock();
            if slot.is_none() {
                *slot = Some(allocate(&directory)?);
            }
            Ok(())
        });
        if let Err(error) = kept.await {
            let error = error.chain();
            tracing::debug!(target: "oras_serve::maintenance", error, "no room is kept for deletes");
        }
    }
}

fn allocate(directory: &Path) -> Result<Staged> {
    let failed = |error| Error::io("failed to write a file", error);
    let mut staged = Staged::create(directory)?;
    // On a disk that is almost full, what is left.
    drop(staged.write_all(&vec![1; SIZE]));
    // Nobody needs to find it, and it is gone with the process.
    std::fs::remove_file(staged.path()).map_err(failed)?;
    Ok(staged)
}
