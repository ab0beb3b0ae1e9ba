//! Lists the files of a layout by their names, without reading them.

use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::path::Path;

use oras_fs::{failed_to, if_exists};
use oras_spec::Digest;
use oras_spec::layout::{BLOBS_DIR, INDEX_FILE, MARKER_FILE};
use oras_store::Result;

use crate::maintenance::blob_removal;

/// The maximum number of foreign files whose names are kept.
const MAX_FOREIGN_NAMES: usize = 1000;
/// The name of the copy of a damaged index that a repair makes. A number may follow.
pub(crate) const DAMAGED_INDEX: &str = "index.json.damaged";
/// Files beside the blobs that ORAS, the Go tool and Docker write.
const KNOWN_NAMES: [&str; 8] = [
    BLOBS_DIR,
    INDEX_FILE,
    MARKER_FILE,
    "cache-size",
    "index.lookup",
    "ingest",
    "manifest.json",
    "repositories",
];

/// Returns true for the name of a file that programs are known to write beside the blobs.
fn is_known(name: &str) -> bool {
    KNOWN_NAMES.contains(&name) || name.starts_with(".oras-") || name.starts_with(DAMAGED_INDEX)
}

/// A blob of a layout, as its directory or archive lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StoredBlob {
    /// The size in bytes; that of the target for a link.
    pub(crate) size: u64,
    /// Whether it can be read as a file.
    pub(crate) is_file: bool,
}

/// The blobs of a layout, and the files that do not belong to a layout.
#[derive(Debug, Default)]
pub(crate) struct StoredBlobs {
    pub(crate) blobs: HashMap<Digest, StoredBlob>,
    /// Paths relative to the layout, sorted; at most [`MAX_FOREIGN_NAMES`].
    pub(crate) foreign: Vec<String>,
    /// Blobs whose removal was interrupted by a kill. The next writer renames them back.
    pub(crate) set_aside: HashMap<Digest, u64>,
}

impl StoredBlobs {
    /// Lists the files of the layout in the directory `root`.
    ///
    /// # Errors
    /// `Io` if a directory cannot be listed.
    pub(crate) fn list(root: &Path) -> Result<Self> {
        let mut found = Self::default();
        for entry in fs::read_dir(root).map_err(failed_to("list", root))? {
            let entry = entry.map_err(failed_to("list", root))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if let Some(digest) = blob_removal::digest_of(&name) {
                let size = entry.metadata().map_or(0, |found| found.len());
                found.set_aside.insert(digest, size);
            } else if !is_known(&name) {
                found.add_foreign(name);
            }
        }
        let blobs = root.join(BLOBS_DIR);
        for directory in
            if_exists(fs::read_dir(&blobs)).map_err(failed_to("list", &blobs))?.into_iter().flatten()
        {
            let directory = directory.map_err(failed_to("list", &blobs))?;
            let algorithm = directory.file_name().to_string_lossy().into_owned();
            // A link to a directory is followed, because build tools link whole directories into layouts.
            if directory.path().is_dir() {
                found.list_algorithm(&directory.path(), &algorithm)?;
            } else {
                found.add_foreign(format!("{BLOBS_DIR}/{algorithm}"));
            }
        }
        found.foreign.sort();
        Ok(found)
    }

    fn list_algorithm(&mut self, directory: &Path, algorithm: &str) -> Result<()> {
        for entry in fs::read_dir(directory).map_err(failed_to("list", directory))? {
            let entry = entry.map_err(failed_to("list", directory))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let Ok(digest) = format!("{algorithm}:{name}").parse::<Digest>() else {
                self.add_foreign(format!("{BLOBS_DIR}/{algorithm}/{name}"));
                continue;
            };
            // The blob may have been removed since its directory was read.
            let Some(found) = if_exists(entry.metadata()).map_err(failed_to("look at", &entry.path()))?
            else {
                continue;
            };
            let target = if found.is_symlink() { fs::metadata(entry.path()).ok() } else { Some(found) };
            let size = target.as_ref().map_or(0, Metadata::len);
            let is_file = target.as_ref().is_some_and(Metadata::is_file);
            self.blobs.insert(digest, StoredBlob { size, is_file });
        }
        Ok(())
    }

    fn add_foreign(&mut self, path: String) {
        if self.foreign.len() < MAX_FOREIGN_NAMES {
            self.foreign.push(path);
        }
    }
}
