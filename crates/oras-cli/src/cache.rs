//! The cache of what is read from registries, for every command that reads content.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use oras::store::{Error, Kind, Source};
use oras::{Cached, Layout};

use crate::env;
use crate::error::Failure;
use crate::output::Printer;

/// The files that make a directory a layout. All that the cache needs besides are its blobs, which are verified.
const DOCUMENTS: [&str; 2] = ["index.json", "oci-layout"];

/// The source, through the cache at `path`, which is as large as the environment says. A cache that cannot be used is
/// reported as a warning, and the source is read without it.
pub(crate) async fn through(source: Arc<dyn Source>, path: PathBuf) -> Result<Arc<dyn Source>, Failure> {
    let printer = Printer::new();
    let limit = env::cache_size().map_err(Failure::new)?;
    let cache = match open(&path, printer).await {
        Ok(cache) => cache,
        Err(error) => {
            printer.error(&format!(
                "Warning: reading without the cache at {}: {}",
                path.display(),
                error.chain()
            ));
            return Ok(source);
        }
    };
    let cache = match limit {
        Some(limit) => cache.bounded(limit),
        None => cache,
    };
    Ok(Arc::new(Cached::new(source, cache)))
}

/// Opens the cache. If its documents are damaged they are renamed and written anew; the blobs stay.
async fn open(path: &Path, printer: Printer) -> Result<Layout, Error> {
    let damage = match Layout::open_or_create(path).await {
        Err(error) if matches!(error.kind(), Kind::InvalidContent | Kind::TooLarge) => error,
        opened => return opened,
    };
    for name in DOCUMENTS {
        // One of the two may be missing. If neither can be renamed, opening fails once more.
        drop(std::fs::rename(path.join(name), path.join(format!("{name}.damaged"))));
    }
    let rebuilt = Layout::open_or_create(path).await?;
    let (path, why) = (path.display(), damage.chain());
    printer.error(&format!(
        "Warning: rebuilt the cache at {path}, whose former index is in index.json.damaged: {why}"
    ));
    Ok(rebuilt)
}
