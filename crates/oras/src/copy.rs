//! Copies an artifact from one store to another.

use oras_copy::Concurrency;
use std::sync::Arc;

use oras_copy::{Event, PlatformsError, Selected, TagPolicy, copy_graph, referrers, select_platforms};
use oras_spec::{Descriptor, MediaType, Platform};
use oras_store::{Content, Error, ErrorKind, MAX_MANIFEST_SIZE, ReadStore, Result, Side, Source, Target};

use crate::listener::CopyObserver;
use crate::required_referrers::check_required;
use crate::resolve::{fetch_manifest, fetch_root};
use crate::{Listener, Step, tag};

/// The error of a [`copy`] without tags whose source reference cannot be resolved. It is in the chain of the returned
/// error. With it, a program tells a wrong reference from an error of the transfer:
///
/// ```
/// use oras::store::Error;
/// use oras::{CopyOptions, Memory, Quiet, UnresolvedSource};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let error: Error =
///     oras::copy(Memory::new(), "v1", Memory::new(), CopyOptions::default(), Quiet).await.unwrap_err();
/// assert!(error.find::<UnresolvedSource>().is_some());
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[error("failed to resolve {reference}")]
pub struct UnresolvedSource {
    reference: String,
    source: Error,
}

/// The options of [`copy`](fn@copy). The default copies one artifact with all of its platforms, without a tag.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct CopyOptions {
    /// The tags of the copied artifact. Empty means that the target stores it without a tag.
    pub tags: Vec<String>,
    /// Selects the images for these platforms. One platform selects a single image; several select an index of the
    /// images.
    pub platforms: Vec<Platform>,
    /// Also copies the referrers of the artifact, and those of the manifests in an index.
    pub recursive: bool,
    /// The artifact must have a referrer of each of these types, or the copy fails with
    /// [`MissingReferrer`](crate::MissingReferrer) before it writes a tag. With a type, all referrers are copied.
    pub require_referrers: Vec<MediaType>,
    /// The maximum number of nodes that are transferred at a time.
    pub concurrency: Concurrency,
    /// The size in bytes of the largest manifest that is read. `None` means the default, 4 MiB.
    pub max_manifest_size: Option<u64>,
    /// Also visits the children of manifests that the target has. This repairs a target with a part of a graph.
    pub force: bool,
}

impl CopyOptions {
    oras_store::setters! {
        tags: impl IntoIterator<Item = impl Into<String>> => tags.into_iter().map(Into::into).collect();
        platforms: Vec<Platform>;
        recursive: bool;
        require_referrers: Vec<MediaType>;
        concurrency: impl Into<Concurrency> => concurrency.into();
        max_manifest_size: impl Into<Option<u64>> => max_manifest_size.into();
        force: bool;
    }
}

/// Copies the artifact that `reference` names in `source` to `target`. Children are stored before their parents.
///
/// Copies nothing if all tags already name the manifest, and no option requires a visit of the graph. The first tag is
/// written together with the root, or after all referrers if they are copied. The other tags are written at the end.
///
/// ```
/// use oras::{Artifact, CopyOptions, Memory, Quiet, copy};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> oras::store::Result<()> {
/// let (from, to) = (Memory::new(), Memory::new());
/// Artifact::new("application/vnd.me").layer("text/plain", "hello\n").push(&from, Some("v1")).await?;
/// let options = CopyOptions::default().tags(["v1", "latest"]).recursive(true);
/// copy(from, "v1", to.clone(), options, Quiet).await?;
/// assert_eq!(to.tags().await?, ["latest", "v1"]);
/// # Ok(()) }
/// ```
///
/// # Errors
/// Returns the first error, with the side that failed. No tag is written before the artifact is complete.
pub async fn copy(
    source: impl ReadStore + 'static,
    reference: &str,
    target: impl Target + 'static,
    mut options: CopyOptions,
    listener: impl Listener + 'static,
) -> Result<Descriptor> {
    let source: Arc<dyn ReadStore> = Arc::new(source);
    let target: Arc<dyn Target> = Arc::new(target);
    let listener: Arc<dyn Listener> = Arc::new(listener);
    tag::check_tags(&*target, &options.tags)?;
    options.recursive |= !options.require_referrers.is_empty();
    let plain_source = Arc::clone(&source) as Arc<dyn Source>;
    if let Some(root) = resolve_if_unchanged(&*plain_source, reference, &*target, &options).await {
        listener.step(Step::Node(Event::Naming(&root)));
        listener.step(Step::Stored(&root));
        options.tags.iter().skip(1).for_each(|tag| listener.step(Step::Tagged(tag)));
        return Ok(root);
    }
    let SelectedRoot { content: mut root, original_index } =
        select_root(Arc::clone(&plain_source), reference, &options.platforms).await.map_err(|error| {
            if !options.tags.is_empty() || options.recursive {
                return error.on(Side::Source);
            }
            let (kind, reference) = (error.kind(), reference.to_owned());
            Error::from_source(kind, UnresolvedSource { reference, source: error }).on(Side::Source)
        })?;
    let mut roots = vec![root.clone()];
    if options.recursive {
        // The filtered index has another digest, so referrers of the original index would have no subject at the
        // target. A failed lookup also reports the step, because referrers may exist.
        if let Some(index) = original_index
            && source.predecessors(&index, None).await.map_or(true, |found| !found.is_empty())
        {
            listener.step(Step::ReferrersLeft(&index));
        }
        check_required(&source, root.descriptor(), &options.require_referrers).await?;
        let found = referrers(&source, &root, options.concurrency).await?;
        roots.extend(found.into_iter().map(|node| Content::from_source(Arc::clone(&plain_source), node)));
    }
    let extra = options.tags.get(1..).unwrap_or_default();
    if !extra.is_empty() && root.in_memory().is_none() {
        // Reads the manifest once: each tag is written with the same bytes.
        let limit = options.max_manifest_size.unwrap_or(MAX_MANIFEST_SIZE);
        let read = async { Content::from_bytes(root.descriptor().clone(), root.bytes(limit).await?) };
        root = read.await.map_err(|error| error.on(Side::Source))?;
        roots[0] = root.clone();
    }
    // If the tag is a digest, the target compares it with the digest of the root.
    let copy = oras_copy::CopyOptions::default()
        .tag(tag_policy(&options))
        .concurrency(options.concurrency)
        .max_manifest_size(options.max_manifest_size.unwrap_or(MAX_MANIFEST_SIZE))
        .force(options.force)
        .observer(Arc::new(CopyObserver(Arc::clone(&listener))));
    copy_graph(plain_source, Arc::clone(&target), roots, copy).await?;
    listener.step(Step::Stored(root.descriptor()));
    tag::write_tags(&*target, &root, extra, options.concurrency, &*listener)
        .await
        .map_err(|error| error.on(Side::Destination))?;
    Ok(root.descriptor().clone())
}

/// Returns the policy for the first tag.
///
/// If referrers are copied, the tag is written after them, so that it never names an artifact whose referrers are
/// missing. Otherwise, if [`resolve_if_unchanged`] has read the tag, it is written without a second comparison.
fn tag_policy(options: &CopyOptions) -> TagPolicy {
    match options.tags.first().cloned() {
        None => TagPolicy::None,
        Some(tag) if options.recursive => TagPolicy::AtEnd(tag),
        // `resolve_if_unchanged` has read the tag at the target, so another comparison would be a wasted request.
        Some(tag) if can_compare_tags(options) => TagPolicy::OverwriteWithRoot(tag),
        Some(tag) => TagPolicy::WithRoot(tag),
    }
}

/// Returns true if [`resolve_if_unchanged`] checks what the tags name. The other options need a visit of the graph in
/// any case.
fn can_compare_tags(options: &CopyOptions) -> bool {
    !options.tags.is_empty() && !options.recursive && !options.force && options.platforms.is_empty()
}

/// Returns the manifest that `reference` names if all tags of the target already name it.
///
/// Registries need one request for the reference and one for each tag. Errors are ignored, because the copy that
/// follows repeats the failed request and reports the error.
async fn resolve_if_unchanged(
    source: &dyn Source,
    reference: &str,
    target: &dyn Target,
    options: &CopyOptions,
) -> Option<Descriptor> {
    if !can_compare_tags(options) {
        return None;
    }
    // The tags come first: a tag that does not exist yet ends the check without a request to the source.
    let mut digests = Vec::with_capacity(options.tags.len());
    for tag in &options.tags {
        digests.push(target.tagged(tag).await?);
    }
    let root = source.resolve(reference).await.ok()?;
    digests.iter().all(|digest| *digest == root.digest).then_some(root)
}

/// The root of the copy.
struct SelectedRoot {
    content: Content,
    /// The index that was filtered by platforms, if the root is a new index.
    original_index: Option<Descriptor>,
}

/// Resolves `reference`, and selects the images for `platforms` from an index.
async fn select_root(
    source: Arc<dyn Source>,
    reference: &str,
    platforms: &[Platform],
) -> Result<SelectedRoot> {
    let without_filter = |content| SelectedRoot { content, original_index: None };
    // One platform selects a single image, so that the copy has the digest of the image.
    if platforms.len() < 2 {
        return fetch_root(source, reference, platforms.first()).await.map(without_filter);
    }
    let not_found = |error: PlatformsError| Error::from_source(ErrorKind::NotFound, error);
    let index = fetch_manifest(Arc::clone(&source), reference).await?;
    if !index.descriptor().media_type.is_manifest() {
        return Err(not_found(PlatformsError::NotAnIndex));
    }
    let manifest = index.manifest(MAX_MANIFEST_SIZE).await?;
    Ok(match select_platforms(&manifest, platforms).map_err(not_found)? {
        Selected::Whole => without_filter(index),
        Selected::One(node) => without_filter(Content::from_source(source, *node)),
        Selected::Some(document) => SelectedRoot {
            content: Content::of(index.descriptor().media_type.clone(), document),
            original_index: Some(index.descriptor().clone()),
        },
    })
}

#[cfg(test)]
mod tests {
    use oras_store::PushMode;

    use super::*;
    use crate::{Memory, Quiet};
    use oras_layout::Layout;

    #[tokio::test]
    async fn stores_an_untagged_copy_before_it_returns() {
        let (from, directory) = (Arc::new(Memory::new()), tempfile::tempdir().unwrap());
        let child = Content::of(MediaType::IMAGE_INDEX, r#"{"schemaVersion":2,"manifests":[]}"#);
        let listed = serde_json::to_string(child.descriptor()).unwrap();
        let parent = format!(r#"{{"schemaVersion":2,"manifests":[{listed}]}}"#);
        let parent = Content::of(MediaType::IMAGE_INDEX, parent);
        from.push(&child, PushMode::Untagged).await.unwrap();
        from.push(&parent, PushMode::Tagged("v1")).await.unwrap();
        let to = Arc::new(Layout::open_or_create(directory.path()).await.unwrap());
        copy(from, "v1", to.clone(), CopyOptions::default(), Arc::new(Quiet)).await.unwrap();
        let other = Layout::open(directory.path()).await.unwrap();
        for node in [&child, &parent] {
            assert!(other.exists(node.descriptor()).await.unwrap());
        }
    }
}
