//! Copy: an artifact from one store to another.

use std::sync::Arc;

use oras_copy::{GraphCopy, referrers};
use oras_spec::{Descriptor, Platform};
use oras_store::{Content, GraphSource, Result, Side, Source, Target};

use crate::listener::Nodes;
use crate::resolve::fetch_root;
use crate::{Listener, Step, tag};

/// How to copy.
#[derive(Clone, Debug, Default)]
pub struct CopyOptions {
    /// Copies the referrers too, also those of an index's manifests.
    pub recursive: bool,
    /// Copies the image for this platform.
    pub platform: Option<Platform>,
    /// Tags at the destination; the first is written with the root.
    pub tags: Vec<String>,
    /// Nodes in flight; 0 means the default.
    pub concurrency: usize,
    /// Looks below manifests that the destination has.
    pub force: bool,
}

/// Copies what `reference` names in `source` to `target`, children before parents, tags last.
///
/// # Errors
/// The first error, with the side that failed; no tag is written then.
pub async fn copy(
    source: Arc<dyn GraphSource>,
    reference: &str,
    target: Arc<dyn Target>,
    options: CopyOptions,
    listener: Arc<dyn Listener>,
) -> Result<Descriptor> {
    let plain_source = Arc::clone(&source) as Arc<dyn Source>;
    let root = fetch_root(Arc::clone(&plain_source), reference, options.platform.as_ref())
        .await
        .map_err(|error| error.on(Side::Source))?;
    let mut roots = vec![root.clone()];
    if options.recursive {
        let concurrency = options.concurrency.max(1);
        let found = referrers(&source, root.descriptor(), concurrency).await?;
        roots.extend(found.into_iter().map(|node| Content::from_source(Arc::clone(&plain_source), node)));
    }
    let (first, extra) = match options.tags.split_first() {
        Some((first, extra)) => (Some(first.as_str()), extra),
        None => (None, &[][..]),
    };
    // A digest as the destination's name is checked by the target, which stores the root under it.
    GraphCopy::new(plain_source, Arc::clone(&target))
        .concurrency(options.concurrency)
        .force(options.force)
        .observer(Arc::new(Nodes(Arc::clone(&listener))))
        .run(roots, first)
        .await?;
    listener.step(Step::Stored(root.descriptor()));
    tag::write(&*target, &root, extra, options.concurrency, &*listener)
        .await
        .map_err(|error| error.on(Side::Destination))?;
    Ok(root.descriptor().clone())
}
