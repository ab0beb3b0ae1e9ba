//! Tag: more names for a manifest.

use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use oras_spec::Descriptor;
use oras_store::{Content, Result, Store, Target};

use crate::resolve::fetch_manifest;
use crate::{Listener, Step};

/// Gives the manifest that `reference` names in `store` the tags `tags`, `concurrency` at a time.
///
/// # Errors
/// Those of the store; tags written before the first error stay.
pub async fn tag(
    store: Arc<dyn Store>,
    reference: &str,
    tags: &[String],
    concurrency: usize,
    listener: Arc<dyn Listener>,
) -> Result<Descriptor> {
    let manifest = fetch_manifest(Arc::clone(&store) as _, reference).await?;
    listener.step(Step::Tagging(manifest.descriptor()));
    write(&*store, &manifest, tags, concurrency, &*listener).await?;
    Ok(manifest.descriptor().clone())
}

/// Writes `tags`, telling each when it is there.
pub(crate) async fn write<T: Target + ?Sized>(
    target: &T,
    manifest: &Content,
    tags: &[String],
    concurrency: usize,
    listener: &dyn Listener,
) -> Result<()> {
    let concurrency = if concurrency == 0 { 5 } else { concurrency };
    stream::iter(tags)
        .map(|tag| async move {
            target.tag(manifest, tag).await?;
            listener.step(Step::Tagged(tag));
            Ok(())
        })
        .buffer_unordered(concurrency)
        .try_collect()
        .await
}
