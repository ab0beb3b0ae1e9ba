//! Blob push: one blob, without a manifest.

use std::sync::Arc;

use oras_copy::{CopyOptions, copy_graph};
use oras_files::Collection;
use oras_store::{Content, Result, Target};

use crate::Listener;
use crate::listener::Nodes;

/// Stores `blob` in `target`, unless it exists there.
///
/// # Errors
/// Those of reading the blob and of the target; nothing is stored then.
pub async fn push_blob(target: Arc<dyn Target>, blob: Content, listener: Arc<dyn Listener>) -> Result<()> {
    let options = CopyOptions { observer: Arc::new(Nodes(listener)), ..CopyOptions::default() };
    copy_graph(Arc::new(Collection::new()), target, vec![blob], options).await.map(drop)
}
