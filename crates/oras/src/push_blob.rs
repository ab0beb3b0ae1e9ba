//! Stores a single blob without a manifest.

use std::sync::Arc;

use oras_copy::{CopyOptions, copy_graph};
use oras_files::Collection;
use oras_store::{Content, Result, Target};

use crate::Listener;
use crate::listener::CopyObserver;

/// Stores `blob` in `target`, unless the target already has it.
///
/// # Errors
/// Returns an error if the blob cannot be read, and any error of the target. After an error, the blob is not stored.
pub async fn push_blob(target: Arc<dyn Target>, blob: Content, listener: Arc<dyn Listener>) -> Result<()> {
    let options = CopyOptions { observer: Arc::new(CopyObserver(listener)), ..CopyOptions::default() };
    // The source is empty, because the content of the blob has a source of its own.
    copy_graph(Arc::new(Collection::new()), target, vec![blob], options).await.map(drop)
}
