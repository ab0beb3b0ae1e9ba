//! Copy: an artifact from one store to another.

use std::sync::Arc;

use oras_copy::{Event, PlatformsError, Selected, TagPolicy, copy_graph, referrers, select_platforms};
use oras_spec::{Descriptor, Platform};
use oras_store::{Content, Error, ErrorKind, GraphSource, MAX_MANIFEST_SIZE, Result, Side, Source, Target};

use crate::listener::Nodes;
use crate::resolve::{fetch_manifest, fetch_root};
use crate::{Listener, Step, tag};

/// The source of a [`copy`] without tags could not be resolved; found in the chain of its error.
#[derive(Debug, thiserror::Error)]
#[error("failed to resolve {reference}")]
pub struct UnresolvedSource {
    reference: String,
    source: Error,
}

/// How to copy.
#[derive(Clone, Debug, Default)]
pub struct CopyOptions {
    /// Copies the referrers too, also those of an index's manifests.
    pub recursive: bool,
    /// Copies the images for these platforms only: one as it is, several in an index of them.
    pub platforms: Vec<Platform>,
    /// Tags at the destination; the first is written with the root.
    pub tags: Vec<String>,
    /// Nodes in flight; 0 means the default.
    pub concurrency: usize,
    /// Looks below manifests that the destination has.
    pub force: bool,
    /// The largest manifest that is read; `None` means the default, 4 MiB.
    pub max_manifest_size: Option<u64>,
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
    tag::check(&*target, &options.tags)?;
    let plain_source = Arc::clone(&source) as Arc<dyn Source>;
    if let Some(root) = unchanged(&*plain_source, reference, &*target, &options).await {
        listener.step(Step::Node(Event::Naming(&root)));
        listener.step(Step::Stored(&root));
        options.tags.iter().skip(1).for_each(|tag| listener.step(Step::Tagged(tag)));
        return Ok(root);
    }
    let Root { content: mut root, whole } = root(Arc::clone(&plain_source), reference, &options.platforms)
        .await
        .map_err(|error| match options.tags.is_empty() && !options.recursive {
            true => {
                let reference = reference.to_owned();
                Error::from_source(error.kind(), UnresolvedSource { reference, source: error })
                    .on(Side::Source)
            }
            false => error.on(Side::Source),
        })?;
    let mut roots = vec![root.clone()];
    if options.recursive {
        if let Some(whole) = whole
            && source.predecessors(&whole, None).await.map_or(true, |found| !found.is_empty())
        {
            listener.step(Step::ReferrersLeft(&whole));
        }
        let found = referrers(&source, &root, options.concurrency).await?;
        roots.extend(found.into_iter().map(|node| Content::from_source(Arc::clone(&plain_source), node)));
    }
    let (first, extra) = match options.tags.split_first() {
        Some((first, extra)) => (Some(first.as_str()), extra),
        None => (None, &[][..]),
    };
    if !extra.is_empty() && root.in_memory().is_none() {
        // Every tag is written with the same bytes.
        let limit = options.max_manifest_size.unwrap_or(MAX_MANIFEST_SIZE);
        let bytes = root.bytes(limit).await.map_err(|error| error.on(Side::Source))?;
        root =
            Content::from_bytes(root.descriptor().clone(), bytes).map_err(|error| error.on(Side::Source))?;
        roots[0] = root.clone();
    }
    // A digest as the destination's name is checked by the target, which stores the root under it.
    let copy = oras_copy::CopyOptions {
        tag: tag_policy(first, &options),
        concurrency: options.concurrency,
        max_manifest_size: options.max_manifest_size.unwrap_or(MAX_MANIFEST_SIZE),
        force: options.force,
        observer: Arc::new(Nodes(Arc::clone(&listener))),
        ..oras_copy::CopyOptions::default()
    };
    copy_graph(plain_source, Arc::clone(&target), roots, copy).await?;
    listener.step(Step::Stored(root.descriptor()));
    tag::write(&*target, &root, extra, options.concurrency, &*listener)
        .await
        .map_err(|error| error.on(Side::Destination))?;
    Ok(root.descriptor().clone())
}

/// Returns the policy for the first tag. With referrers the tag comes after them, so that it never names an artifact whose
/// referrers are missing. After [`unchanged`] the tag is known to name something else.
fn tag_policy(first: Option<&str>, options: &CopyOptions) -> TagPolicy {
    match first.map(str::to_owned) {
        None => TagPolicy::None,
        Some(tag) if options.recursive => TagPolicy::AtEnd(tag),
        Some(tag) if checks_tags(options) => TagPolicy::OverwriteWithRoot(tag),
        Some(tag) => TagPolicy::WithRoot(tag),
    }
}

/// Returns true if [`unchanged`] checks what the tags name. The other options need a visit of the graph in any case.
fn checks_tags(options: &CopyOptions) -> bool {
    !options.tags.is_empty() && !options.recursive && !options.force && options.platforms.is_empty()
}

/// What `reference` names, if all tags of the target name just that: one request to each side where they are registries.
/// A failure is left to what is done then.
async fn unchanged(
    source: &dyn Source,
    reference: &str,
    target: &dyn Target,
    options: &CopyOptions,
) -> Option<Descriptor> {
    if !checks_tags(options) {
        return None;
    }
    let mut digests = Vec::with_capacity(options.tags.len());
    for tag in &options.tags {
        digests.push(target.tagged(tag).await?);
    }
    let root = source.resolve(reference).await.ok()?;
    digests.iter().all(|digest| *digest == root.digest).then_some(root)
}

/// What is copied, and the index it was made from.
struct Root {
    content: Content,
    whole: Option<Descriptor>,
}

async fn root(source: Arc<dyn Source>, reference: &str, platforms: &[Platform]) -> Result<Root> {
    let whole = |content| Root { content, whole: None };
    if platforms.len() < 2 {
        return fetch_root(source, reference, platforms.first()).await.map(whole);
    }
    let refused = |error: PlatformsError| Error::from_source(ErrorKind::NotFound, error);
    let index = fetch_manifest(Arc::clone(&source), reference).await?;
    if !index.descriptor().media_type.is_manifest() {
        return Err(refused(PlatformsError::NotAnIndex));
    }
    let manifest = index.manifest(MAX_MANIFEST_SIZE).await?;
    Ok(match select_platforms(&manifest, platforms).map_err(refused)? {
        Selected::Whole => whole(index),
        Selected::One(node) => whole(Content::from_source(source, *node)),
        Selected::Some(document) => Root {
            content: Content::of(index.descriptor().media_type.clone(), document),
            whole: Some(index.descriptor().clone()),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Memory, Quiet};
    use oras_layout::Layout;
    use oras_spec::MediaType;

    #[tokio::test]
    async fn a_copy_without_a_tag_is_stored_when_it_returns() {
        let (from, place) = (Arc::new(Memory::new()), tempfile::tempdir().unwrap());
        let child = Content::of(MediaType::IMAGE_INDEX, r#"{"schemaVersion":2,"manifests":[]}"#);
        let listed = serde_json::to_string(child.descriptor()).unwrap();
        let parent = format!(r#"{{"schemaVersion":2,"manifests":[{listed}]}}"#);
        let parent = Content::of(MediaType::IMAGE_INDEX, parent);
        from.push(&child).await.unwrap();
        from.tag(&parent, "v1").await.unwrap();
        let to = Arc::new(Layout::open_or_create(place.path()).await.unwrap());
        copy(from, "v1", to.clone(), CopyOptions::default(), Arc::new(Quiet)).await.unwrap();
        let other = Layout::open(place.path()).await.unwrap();
        for node in [&child, &parent] {
            assert!(other.exists(node.descriptor()).await.unwrap());
        }
    }
}
