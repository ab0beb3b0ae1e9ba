//! Fetches a blob from other stores, and puts it in place of a damaged or missing one.

use std::path::Path;
use std::sync::Arc;

use oras_fs::{Durability, blocking};
use oras_spec::Descriptor;
use oras_spec::layout::MARKER_FILE;
use oras_store::{Content, ProgressUpdate, Result, Source};

use super::repair_layout::RepairSource;
use super::repair_report::{RepairedBlob, UnavailableBlob};
use crate::check::{CheckProgress, ProgressFn};
use crate::disk::layout_lock::lock_layout;
use crate::disk::write_blobs::publish;
use crate::maintenance::quarantine;

/// The name of the quarantine as a source.
const QUARANTINE: &str = "the quarantine of the layout";

/// Fetches the blob of `node` from the first source that has it, verifies it, and replaces the file in the layout.
///
/// The existing file stays until the new one is complete, verified and flushed. It is then replaced by a rename.
pub(super) async fn replace(
    root: &Path,
    node: &Descriptor,
    sources: &[RepairSource],
    progress: &ProgressFn,
) -> std::result::Result<RepairedBlob, UnavailableBlob> {
    let repaired =
        |from: &str| RepairedBlob { digest: node.digest.clone(), size: node.size, from: from.to_owned() };
    let mut reasons = Vec::new();
    match from_quarantine(root, node).await {
        Ok(true) => return Ok(repaired(QUARANTINE)),
        Ok(false) => {}
        Err(error) => reasons.push(format!("{QUARANTINE}: {}", error.chain())),
    }
    for source in sources {
        let store = Arc::clone(&source.store) as Arc<dyn Source>;
        let (reported, digest) = (Arc::clone(progress), node.digest.clone());
        let content = Content::from_source(store, node.clone()).with_progress(Arc::new(move |update| {
            if let ProgressUpdate::Transferred(bytes) = update {
                reported(CheckProgress::Hashed(&digest, bytes));
            }
        }));
        match store_content(root, &content).await {
            Ok(()) => return Ok(repaired(&source.name)),
            Err(error) => reasons.push(format!("{}: {}", source.name, error.chain())),
        }
    }
    Err(UnavailableBlob { digest: node.digest.clone(), reasons })
}

async fn store_content(root: &Path, content: &Content) -> Result<()> {
    let staged = oras_fs::stage(content, root, Durability::Synced).await?;
    let (root, digest) = (root.to_owned(), content.descriptor().digest.clone());
    blocking(move || publish(&root, None, staged, &digest)).await
}

/// Moves a blob back from the quarantine if it is there with the right size. Its bytes are checked later.
async fn from_quarantine(root: &Path, node: &Descriptor) -> Result<bool> {
    let (root, node) = (root.to_owned(), node.clone());
    blocking(move || {
        let found = quarantine::list(&root)?.remove(&node.digest).filter(|found| found.size == node.size);
        let Some(found) = found else { return Ok(false) };
        let _lock = root.join(MARKER_FILE).exists().then(|| lock_layout(&root)).transpose()?;
        quarantine::restore(&root, &node.digest, &found)
    })
    .await
}
