//! Opens a layout in a directory or in a tar archive.

use std::path::PathBuf;
use std::sync::Arc;

use oras_fs::blocking;
use oras_store::{ReadStore, Result};

use crate::archive::Archive;
use crate::layout::Layout;

/// Opens the layout at `path` for reading, in a directory or in a tar archive.
///
/// # Errors
/// Those of [`Layout::open`] and [`Archive::open`].
pub async fn open(path: impl Into<PathBuf>) -> Result<Arc<dyn ReadStore>> {
    let path = path.into();
    let checked = path.clone();
    let is_directory = blocking(move || Ok(checked.is_dir())).await?;
    if is_directory {
        Ok(Arc::new(Layout::open(path).await?))
    } else {
        Ok(Arc::new(Archive::open(path).await?))
    }
}
