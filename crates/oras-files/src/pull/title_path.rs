//! Resolves a title to the path that a pull writes to, and checks that the path stays below the output directory.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use oras_fs::failed_to;
use oras_store::{Error, ErrorKind, Result};
use parking_lot::Mutex;

use super::options::PullOptions;
use super::output_dir::OutputDir;
use crate::title::{clean, is_local};
use crate::windows_names::check_windows_names;

/// The path that a title resolves to.
pub(crate) struct Destination {
    /// The nearest existing directory.
    pub(crate) output: Arc<OutputDir>,
    /// The path below it.
    pub(crate) relative: PathBuf,
    /// The full path.
    pub(crate) path: PathBuf,
}

impl Destination {
    pub(crate) fn copy_failed(&self, error: Error) -> Error {
        error.context(format!("failed to copy content to {}", self.path.display()))
    }

    pub(crate) fn unpack_failed(&self, error: Error) -> Error {
        error.context(format!("failed to extract tar to {}", self.path.display()))
    }
}

/// The directories that one pull writes to.
#[derive(Debug)]
pub(crate) struct Destinations {
    output: PathBuf,
    pub(crate) options: PullOptions,
    /// The open directories, by their path with all links resolved.
    open: Mutex<BTreeMap<PathBuf, Arc<OutputDir>>>,
}

impl Destinations {
    pub(crate) fn new(output: PathBuf, options: PullOptions) -> Self {
        Self { output, options, open: Mutex::default() }
    }

    /// Takes all open directories. A staging directory is deleted when its last user is dropped.
    pub(crate) fn take_open(&self) -> BTreeMap<PathBuf, Arc<OutputDir>> {
        std::mem::take(&mut *self.open.lock())
    }

    /// Resolves `title` to a path.
    ///
    /// # Errors
    /// `InvalidContent` if the title leads out of the output directory or is not a file name; `AlreadyExists` if the
    /// path exists and existing files are to be kept; `Io`.
    pub(crate) fn resolve(&self, title: &str, is_directory: bool) -> Result<Destination> {
        let traversal_error = || {
            let message = format!("failed to resolve path for writing: path traversal disallowed: {title:?}");
            Error::new(ErrorKind::InvalidContent, message)
        };
        let cleaned = clean(Path::new(title));
        // `push .` gives its directory the title `.`, which is the output directory itself.
        if title.contains('\0') || (cleaned == Path::new(".") && !is_directory) {
            let message = format!("{title:?} is not the name of a file");
            return Err(Error::new(ErrorKind::InvalidContent, message));
        }
        check_windows_names(Path::new(title))?;
        let output = std::path::absolute(&self.output).map_err(failed_to("find", &self.output))?;
        // The path is cleaned by its text, as in the Go tool: `../out` is a sibling of the current directory, even if
        // that is a link.
        let output = clean(&output);
        let is_inside = is_local(&cleaned);
        if !is_inside && !self.options.allow_path_traversal {
            return Err(traversal_error());
        }
        let path = clean(&output.join(&cleaned));
        // A path inside is opened from the output directory, so that no link can lead out of it. The user allowed a
        // path outside, which is opened from its parent.
        let from = if is_inside { output.clone() } else { path.parent().unwrap_or(&path).to_owned() };
        let existing = nearest_directory(&from)?;
        let relative = clean(path.strip_prefix(existing).map_err(|_| traversal_error())?);
        // Links above the output directory are resolved once, so that all titles below it share one handle.
        let existing = existing.canonicalize().map_err(failed_to("find", existing))?;
        let output = self.open(existing)?;
        output.name_check().check(&relative)?;
        output.check_parents(&relative).map_err(|error| match error.kind() {
            ErrorKind::Denied => traversal_error(),
            _ => error,
        })?;
        // If the check fails here, the plan of the publication fails, too. A dangling link counts as existing.
        if self.options.keep_old_files && path.symlink_metadata().is_ok() {
            let message =
                format!("failed to resolve path for writing: overwrite disallowed: {}", path.display());
            return Err(Error::new(ErrorKind::AlreadyExists, message));
        }
        Ok(Destination { output, relative, path })
    }

    /// Opens the directory at `path`, whose links must be resolved, unless it is open.
    fn open(&self, path: PathBuf) -> Result<Arc<OutputDir>> {
        // The lock covers the check and the opening, so that each directory gets only one staging directory.
        let mut open = self.open.lock();
        if let Some(output) = open.get(&path) {
            return Ok(Arc::clone(output));
        }
        let output = Arc::new(OutputDir::open(&path)?);
        open.insert(path, Arc::clone(&output));
        Ok(output)
    }
}

/// Returns `path` or its nearest parent that exists.
///
/// # Errors
/// `Io`, also if that is not a directory.
fn nearest_directory(path: &Path) -> Result<&Path> {
    for ancestor in path.ancestors() {
        match ancestor.metadata() {
            Ok(found) if found.is_dir() => return Ok(ancestor),
            Ok(_) => {
                let message = format!(
                    "failed to ensure directories of the target path: mkdir {}: not a directory",
                    ancestor.display()
                );
                return Err(Error::new(ErrorKind::Io, message));
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(error) => return Err(failed_to("look at", ancestor)(error)),
        }
    }
    Ok(Path::new("/"))
}
