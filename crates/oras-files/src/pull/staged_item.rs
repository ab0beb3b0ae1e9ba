//! One file or directory of a pull, between staging and publication.

use std::path::PathBuf;
use std::sync::Arc;

use oras_fs::CompletedFile;

use super::output_dir::OutputDir;
use super::title_path::Destination;
use crate::extract::DirectoryAttributes;

/// A staged file or directory, and where it is published.
#[derive(Clone, Debug)]
pub(crate) struct StagedItem {
    /// The output directory. The item is published below it.
    pub(crate) output: Arc<OutputDir>,
    /// The path below the staging directory.
    pub(crate) staged: PathBuf,
    pub(crate) location: Location,
    /// The path below the output directory.
    pub(crate) target: PathBuf,
    /// Attributes of the directories in it, children first, which are set after publication.
    pub(crate) directories: Arc<Vec<DirectoryAttributes>>,
}

/// Where the bytes of an item are before it is published.
#[derive(Clone, Debug)]
pub(crate) enum Location {
    Staging,
    /// In a completed partial file, which is moved into the staging directory right before publication.
    PartialFile(CompletedFile),
    /// At the target already. Nothing is written.
    Target,
}

impl StagedItem {
    /// Creates an item for a file, or for a directory without attributes to set.
    pub(crate) fn new(destination: &Destination, staged: PathBuf, location: Location) -> Self {
        let (output, target) = (Arc::clone(&destination.output), destination.relative.clone());
        Self { output, staged, location, target, directories: Arc::default() }
    }

    /// Returns true if the target already has the content.
    pub(crate) fn is_unchanged(&self) -> bool {
        matches!(self.location, Location::Target)
    }

    pub(crate) fn partial_file(&self) -> Option<&CompletedFile> {
        match &self.location {
            Location::PartialFile(file) => Some(file),
            Location::Staging | Location::Target => None,
        }
    }
}
