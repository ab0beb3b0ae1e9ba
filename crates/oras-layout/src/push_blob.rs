//! Pushes one blob: skips it, hard-links it, or stages and publishes it.

use oras_fs::{Durability, blocking};
use oras_spec::Descriptor;
use oras_store::{Content, Origin, Pushed, Result};
use tokio::sync::oneshot;

use crate::disk::blobs::claim;
use crate::disk::create_layout::create_layout;
#[cfg(unix)]
use crate::disk::link_blob::link_blob;
use crate::disk::write_blobs::publish;
use crate::layout::Layout;
#[cfg(unix)]
use crate::maintenance::cache_eviction;
use crate::verification::verify;

/// Writes the blob of `content`, unless the layout has it with the right bytes.
pub(crate) async fn push_blob(layout: &Layout, content: &Content) -> Result<Pushed> {
    let (origin, node) = (content.origin(), content.descriptor().clone());
    // Dropping this future drops the receiver, which cancels the work on the blocking thread.
    let (caller, _waiting) = oneshot::channel();
    let (layout, own) = (layout.clone(), layout.clone());
    if let Some(pushed) = blocking(move || skip_or_link(&own, &node, &origin, &caller)).await? {
        return Ok(pushed);
    }
    // The file is staged in the directory of the layout, because a rename cannot cross file systems.
    let staged = oras_fs::stage(content, layout.path(), Durability::Synced).await?;
    let digest = content.descriptor().digest.clone();
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
    #[cfg(unix)]
    if let Origin::File { path } = origin
        && layout.options().link_blobs
        && link_blob(layout.path(), node, path, caller).is_some()
    {
        cache_eviction::blobs_added(layout.path(), layout.size_limit(), node.size);
        return Ok(Some(Pushed::Adopted));
    }
    #[cfg(not(unix))]
    let _ = origin;
    Ok(None)
}
