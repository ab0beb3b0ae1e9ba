//! The cache of content read from registries (`ORAS_CACHE`), for every command that reads content.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use oras::store::{Error, ErrorKind, Source};
use oras::{CachedSource, Layout, LayoutOptions};

use crate::env;
use crate::failure::Failure;
use crate::print;

/// The files that are rewritten if they are damaged. Blobs need no repair, because each read of a blob verifies it.
const DOCUMENTS: [&str; 2] = ["index.json", "oci-layout"];

/// Wraps `source` in the cache at `path`. If the cache cannot be opened, prints a warning and returns `source` itself.
pub(crate) async fn through(source: Arc<dyn Source>, path: PathBuf) -> Result<Arc<dyn Source>, Failure> {
    let limit = env::cache_size().map_err(Failure::new)?;
    let options = LayoutOptions::default().size_limit(limit);
    let cache = match open(&path, options).await {
        Ok(cache) => cache,
        // A broken cache must not make reading impossible.
        Err(error) => {
            print::error(&format!(
                "Warning: reading without the cache at {}: {}",
                path.display(),
                error.chain()
            ));
            return Ok(source);
        }
    };
    Ok(Arc::new(CachedSource::new(source, cache)))
}

/// Opens the cache. Renames damaged documents and writes new ones; the blobs stay.
async fn open(path: &Path, options: LayoutOptions) -> Result<Layout, Error> {
    let damage = match Layout::open_or_create_with(path, options).await {
        // New documents repair only damaged content. Other errors, such as a missing permission, are returned.
        Err(error) if matches!(error.kind(), ErrorKind::InvalidContent | ErrorKind::TooLarge) => error,
        opened => return opened,
    };
    // Damaged documents are renamed and not deleted, so that the user can inspect them.
    for name in DOCUMENTS {
        // One of the two may be missing. If neither can be renamed, the open below fails again.
        drop(std::fs::rename(path.join(name), path.join(format!("{name}.damaged"))));
    }
    let rebuilt = Layout::open_or_create_with(path, options).await?;
    let (path, why) = (path.display(), damage.chain());
    print::error(&format!(
        "Warning: rebuilt the cache at {path}, whose former index is in index.json.damaged: {why}"
    ));
    Ok(rebuilt)
}
