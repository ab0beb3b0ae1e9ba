//! Checks the path of an archive entry, which must stay below the title of the layer.

use std::path::{Path, PathBuf};

use oras_store::{Error, ErrorKind, Result};

use crate::file_system_names::NameCheck;
use crate::title::{clean, is_local};
use crate::windows_names::check_windows_names;

/// Returns the path of the entry `name` below `title`, from its text alone: `..` is resolved without disk access.
///
/// # Errors
/// `InvalidContent` for a path outside of the title, or with a part that cannot be a file name.
pub(super) fn check_entry_path(name: &Path, title: &Path, names: &NameCheck<'_>) -> Result<PathBuf> {
    let outside = || {
        let (name, title) = (name.display().to_string(), title.display().to_string());
        Error::new(ErrorKind::InvalidContent, format!("{name:?} is outside of {title:?}"))
    };
    // `clean` would turn an empty name into `.`, which is the directory itself.
    let cleaned = if name.as_os_str().is_empty() { return Err(outside()) } else { clean(name) };
    let relative = match cleaned.strip_prefix(title) {
        Ok(relative) => relative.to_owned(),
        // `push .` names its entries without a title.
        Err(_) if title == Path::new(".") => cleaned,
        Err(_) => return Err(outside()),
    };
    check_windows_names(&relative)?;
    names.check(&relative)?;
    if relative.as_os_str().is_empty() || is_local(&relative) { Ok(relative) } else { Err(outside()) }
}
