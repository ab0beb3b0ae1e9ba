//! Finds the layouts below a directory.

use std::fs;
use std::path::{Path, PathBuf};

use oras_fs::{blocking, failed_to};
use oras_spec::layout::MARKER_FILE;
use oras_store::{Error, ErrorKind, Result};

use crate::not_found::path_not_found;
use crate::survey::layout_parts::LayoutParts;

/// The maximum depth below the directory. The names of repositories have at most 255 characters, and few parts.
const MAX_DEPTH: usize = 32;

/// Returns the path if it is a layout, and otherwise the layouts below it, sorted. A server such as `oras serve` keeps
/// one layout for each repository in a directory.
///
/// A tar archive and a directory with at least one file of a layout count as a layout, even if it is damaged. Links to
/// directories are not followed.
///
/// ```
/// use oras_layout::store::spec::MediaType;
/// use oras_layout::{Layout, find_layouts};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> oras_layout::store::Result<()> {
/// # let directory = tempfile::tempdir().unwrap();
/// let root = directory.path();
/// let app = Layout::open_or_create(root.join("team/app")).await?;
/// app.push_blob(MediaType::OCTET_STREAM, "hello\n").await?;
/// assert_eq!(find_layouts(root).await?, [root.join("team/app")]);
/// assert_eq!(find_layouts(app.path()).await?, [app.path()]);
/// # Ok(()) }
/// ```
///
/// # Errors
/// `NotFound`; `InvalidContent` if there is no layout; `Io`.
pub async fn find_layouts(path: impl Into<PathBuf>) -> Result<Vec<PathBuf>> {
    let path = path.into();
    blocking(move || {
        if !path.try_exists().unwrap_or(true) {
            return Err(path_not_found(&path));
        }
        let own = LayoutParts::open(&path);
        if own.is_ok() || !path.is_dir() {
            return own.map(|_| vec![path]);
        }
        let mut found = Vec::new();
        find_below(&path, 0, &mut found)?;
        found.sort();
        if found.is_empty() { own.map(|_| found) } else { Ok(found) }
    })
    .await
}

fn find_below(directory: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<()> {
    if depth > MAX_DEPTH {
        let message = format!("{} is too deep below the directory to check", directory.display());
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    for entry in fs::read_dir(directory).map_err(failed_to("list", directory))? {
        let entry = entry.map_err(failed_to("list", directory))?;
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let path = entry.path();
        if path.join(MARKER_FILE).exists() {
            found.push(path.clone());
        }
        // A repository may be below another one: `team` and `team/app`. The blobs of a layout contain no layout.
        if entry.file_name() != "blobs" {
            find_below(&path, depth + 1, found)?;
        }
    }
    Ok(())
}
