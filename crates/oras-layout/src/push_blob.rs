//! Pushes one blob: skips it, hard-links it, or stages and publishes it.

use std::path::Path;

use oras_fs::{Durability, blocking};
use oras_spec::Descriptor;
use oras_store::{Content, Origin, Pushed, Result};
use tokio::sync::oneshot;

use crate::disk::blobs::claim;
use crate::disk::create_layout::create_layout;
use crate::disk::write_blobs::publish;
use crate::layout::Layout;
use crate::verification::verify;

/// Writes the blob of `content`, unless the layout has it with the right bytes.
pub(crate) async fn push_blob(layout: &Layout, content: &Content) -> Result<Pushed> {
    let (origin, node) = (content.origin(), content.descriptor().clone());
    // Dropping this future drops the receiver, which cancels the work on the blocking thread.
    let (caller, _waiting) = oneshot::channel();
    let prepared = {
        let layout = layout.clone();
        blocking(move || skip_or_link(&layout, &node, &origin, &caller)).await?
    };
    if let Some(pushed) = prepared {
        return Ok(pushed);
    }
    // The file is staged in the directory of the layout, because a rename cannot cross file systems.
    let staged = oras_fs::stage(content, layout.path(), Durability::Synced).await?;
    let (layout, digest) = (layout.clone(), content.descriptor().digest.clone());
    blocking(move || publish(layout.path(), layout.size_limit(), staged, &digest)).await?;
    Ok(Pushed::Copied)
}

/// Creates the layout, and returns the outcome if the blob does not have to be copied.
fn skip_or_link(
    layout: &Layout,
    node: &Descriptor,
    origin: &Origin,
    caller: &oneshot::Sender<()>,
) -> Result<Option<Pushed>> {
    // A blob with wrong bytes is replaced. If verifying was cancelled or is impossible, the blob stays.
    if claim(layout.path(), &node.digest, Some(node.size), layout.claim_interval())?
        && verify(layout.path(), node, caller)? != Some(false)
    {
        return Ok(Some(Pushed::Existed));
    }
    create_layout(layout.path())?;
    match origin {
        Origin::File { path } if layout.options().link_blobs => {
            Ok(link(layout, node, path, caller).then_some(Pushed::Adopted))
        }
        _ => Ok(None),
    }
}

#[cfg(unix)]
fn link(layout: &Layout, node: &Descriptor, source: &Path, caller: &oneshot::Sender<()>) -> bool {
    let is_linked = crate::disk::link_blob::link_blob(layout.path(), node, source, caller);
    if is_linked {
        crate::maintenance::cache_eviction::blobs_added(layout.path(), layout.size_limit(), node.size);
    }
    is_linked
}

#[cfg(not(unix))]
fn link(_: &Layout, _: &Descriptor, _: &Path, _: &oneshot::Sender<()>) -> bool {
    false
}
