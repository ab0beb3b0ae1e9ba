//! A partial file that is complete.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::partial_dir::ClaimedName;

/// A partial file that is complete and verified. If it is dropped without a move, it stays for the next run.
#[derive(Clone, Debug)]
pub struct CompletedFile {
    claimed: Arc<ClaimedName>,
}

impl CompletedFile {
    pub(crate) fn new(claimed: Arc<ClaimedName>) -> Self {
        Self { claimed }
    }

    /// Opens the file for reading.
    pub fn open(&self) -> io::Result<File> {
        self.claimed.open_file()
    }

    /// Moves the file to the path `name` in `directory`. An existing file is replaced.
    pub fn move_to(&self, directory: &File, name: &Path) -> io::Result<()> {
        self.claimed.rename(Some(directory), name)
    }

    /// Moves the file back from where [`CompletedFile::move_to`] put it. Ignores errors: the caller is undoing
    /// another error.
    pub fn take_back(&self, directory: &File, name: &Path) {
        self.claimed.rename_back(directory, name);
    }
}
