//! Finds the layouts below a directory.

use std::fs::Metadata;
use std::io;
use std::path::Path;
#[cfg(not(unix))]
use std::path::PathBuf;

use oras_spec::layout::MARKER_FILE;
use oras_spec::reference::check_repository;
use oras_store::{Error, Result};

use crate::repository_name::RESERVED;

/// The maximum number of levels of directories that are searched for layouts.
const MAX_DEPTH: usize = 16;

/// A directory that is a layout or has uploads in progress.
pub(crate) struct RepositoryDir {
    /// The name of the repository, which is the path below the root.
    pub(crate) name: String,
    pub(crate) is_layout: bool,
}

/// Returns the metadata of a path, following links; `None` if it does not exist.
///
/// # Errors
/// System errors, after which it is unknown whether the path exists.
pub(crate) fn metadata(path: &Path) -> Result<Option<Metadata>> {
    match std::fs::metadata(path) {
        Ok(found) => Ok(Some(found)),
        Err(error) if is_not_found(&error) => Ok(None),
        Err(error) => Err(Error::io(format!("failed to look for {}", path.display()), error)),
    }
}

/// Returns true if a path does not exist, or has a file in place of a directory.
fn is_not_found(error: &std::io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Returns a value that identifies a directory independently of its path.
#[cfg(unix)]
fn identity(_: &Path, found: &Metadata) -> Result<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    Ok((found.dev(), found.ino()))
}

#[cfg(not(unix))]
fn identity(path: &Path, _: &Metadata) -> Result<PathBuf> {
    path.canonicalize().map_err(|error| Error::io(format!("failed to look for {}", path.display()), error))
}

/// Returns false if the path of a repository visits a directory twice through links. `list` skips such paths, because
/// the links form a cycle.
#[cfg(feature = "serve")]
pub(crate) fn is_acyclic(root: &Path, name: &str) -> Result<bool> {
    let (mut path, mut trail) = (root.to_owned(), Vec::new());
    for part in std::iter::once("").chain(name.split('/')) {
        path.push(part);
        let Some(found) = metadata(&path)? else { return Ok(true) };
        let identity = identity(&path, &found)?;
        if trail.contains(&identity) {
            return Ok(false);
        }
        trail.push(identity);
    }
    Ok(true)
}

/// Lists the layouts and the directories with uploads in progress below `root`, sorted by name. Links to directories
/// are followed, except to a directory that the path has visited.
///
/// # Errors
/// System errors of reading a directory.
pub(crate) fn list(root: &Path) -> Result<Vec<RepositoryDir>> {
    let (mut listed, mut next) = (Vec::new(), vec![(String::new(), Vec::new())]);
    while let Some((name, mut trail)) = next.pop() {
        let path = root.join(&name);
        let Some(directory) = metadata(&path)?.filter(Metadata::is_dir) else { continue };
        let identity = identity(&path, &directory)?;
        if trail.contains(&identity) {
            continue;
        }
        trail.push(identity);
        let failed = |error| Error::io(format!("failed to read {}", path.display()), error);
        let entries = match std::fs::read_dir(&path) {
            // The directory was deleted after its metadata was read.
            Err(error) if is_not_found(&error) => continue,
            entries => entries.map_err(failed)?,
        };
        let (mut is_layout, mut has_uploads) = (false, false);
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let part = entry.file_name().to_string_lossy().into_owned();
            let mut kind = entry.file_type().map_err(failed)?;
            if kind.is_symlink() {
                // Broken links are skipped.
                let Some(found) = metadata(&entry.path())? else { continue };
                kind = found.file_type();
            }
            if kind.is_file() {
                is_layout |= part == MARKER_FILE;
                // Uploads in progress are files whose names begin like this.
                has_uploads |= part.starts_with(".oras-");
            } else if kind.is_dir() && trail.len() <= MAX_DEPTH && !RESERVED.contains(&part.as_str()) {
                let below = if name.is_empty() { part } else { format!("{name}/{part}") };
                if check_repository(&below).is_ok() {
                    next.push((below, trail.clone()));
                }
            }
        }
        // The root itself has no name, so it can't be a repository.
        if (is_layout || has_uploads) && !name.is_empty() {
            listed.push(RepositoryDir { name, is_layout });
        }
    }
    listed.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(listed)
}
