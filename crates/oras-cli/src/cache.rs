//! The cache of what is read from registries, for every command that reads content.

use std::path::PathBuf;
use std::sync::Arc;

use oras::store::Source;
use oras::{Cached, Layout};

use crate::env;
use crate::error::Failure;

/// The source, through the cache at `path`, which is as large as the environment says.
pub(crate) async fn through(source: Arc<dyn Source>, path: PathBuf) -> Result<Arc<dyn Source>, Failure> {
    let limit = env::cache_size().map_err(Failure::new)?;
    let cache = Layout::open_or_create(path).await?;
    let cache = match limit {
        Some(limit) => cache.bounded(limit),
        None => cache,
    };
    Ok(Arc::new(Cached::new(source, cache)))
}
