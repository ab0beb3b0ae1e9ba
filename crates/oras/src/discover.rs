//! Lists the referrers of an artifact as a tree.

use std::collections::HashSet;
use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use oras_spec::{Descriptor, MediaType, Platform};
use oras_store::{Error, ErrorKind, ReadStore, Result, Source};

use crate::resolve;

/// The maximum number of levels. Without a limit, a hostile registry could return new referrers forever.
const MAX_DEPTH: usize = 256;
/// The maximum number of concurrent requests for the referrers of one level.
const CONCURRENCY: usize = 5;

/// The options of [`discover`](fn@discover). The default lists referrers of all types and on all levels.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct DiscoverOptions {
    /// Lists only referrers of this type, on each level.
    pub artifact_type: Option<MediaType>,
    /// Selects the image for this platform, if the reference names an index.
    pub platform: Option<Platform>,
    /// The number of levels. 0 means all levels.
    pub depth: usize,
}

impl DiscoverOptions {
    oras_store::setters! {
        artifact_type: impl Into<Option<MediaType>> => artifact_type.into();
        platform: impl Into<Option<Platform>> => platform.into();
        depth: usize;
    }
}

/// A manifest with its referrers. [`discover`](fn@discover) returns it as the root of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referrer {
    /// The manifest, with its artifact type and annotations.
    pub descriptor: Descriptor,
    /// The referrers of the manifest, in the order of the store.
    pub referrers: Vec<Referrer>,
}

/// Returns the manifest that `reference` names in `source`, with the tree of its referrers.
///
/// A manifest may appear several times in the tree. Its own referrers are listed only once, so that cycles end.
///
/// ```
/// use oras::{Artifact, DiscoverOptions, Memory, Referrer, discover};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> oras::store::Result<()> {
/// let store = Memory::new();
/// let image = Artifact::new("application/vnd.me").push(&store, Some("v1")).await?;
/// let sbom = Artifact::new("application/spdx+json").subject(image.root).push(&store, None).await?;
/// Artifact::new("application/vnd.me.signature").subject(sbom.root).push(&store, None).await?;
/// let root: Referrer = discover(store, "v1", &DiscoverOptions::default()).await?;
/// // The signature signs the SBOM, which describes the image.
/// assert_eq!(root.referrers[0].referrers.len(), 1);
/// # Ok(()) }
/// ```
///
/// # Errors
/// - [`ErrorKind::TooLarge`] if the tree has more than 256 levels.
/// - The errors of the source.
pub async fn discover(
    source: impl ReadStore + 'static,
    reference: &str,
    options: &DiscoverOptions,
) -> Result<Referrer> {
    let source: Arc<dyn ReadStore> = Arc::new(source);
    let plain = Arc::clone(&source) as Arc<dyn Source>;
    let root = resolve(plain, reference, options.platform.as_ref()).await?;
    let levels = fetch_levels(&*source, &root, options).await?;
    Ok(build_tree(root, levels))
}

/// The referrers of each level, each with the index of its subject in the previous level.
type Levels = Vec<Vec<(usize, Descriptor)>>;

/// Requests the referrers level by level, so that a level takes one round trip for every five manifests.
async fn fetch_levels(
    source: &dyn ReadStore,
    root: &Descriptor,
    options: &DiscoverOptions,
) -> Result<Levels> {
    let mut visited = HashSet::from([root.digest.clone()]);
    let mut pending = vec![(0, root.plain())];
    let mut levels = Levels::new();
    while !pending.is_empty() && (options.depth == 0 || levels.len() < options.depth) {
        if levels.len() == MAX_DEPTH {
            let message = format!("referrers of {} nest deeper than {MAX_DEPTH} levels", root.digest);
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        let level: Vec<_> = stream::iter(pending)
            .map(|(subject, node)| async move {
                let found = source.predecessors(&node, options.artifact_type.as_ref()).await?;
                Ok::<_, Error>(found.into_iter().map(|node| (subject, node)).collect::<Vec<_>>())
            })
            // Keeps the order of the manifests, so that the tree does not depend on timing.
            .buffered(CONCURRENCY)
            .try_concat()
            .await?;
        // Skips manifests that were already visited, which also ends cycles.
        pending = level
            .iter()
            .enumerate()
            .filter(|(_, (_, node))| visited.insert(node.digest.clone()))
            .map(|(place, (_, node))| (place, node.plain()))
            .collect();
        levels.push(level);
    }
    Ok(levels)
}

/// Builds the tree from the last level to the first, because a referrer contains its own referrers.
fn build_tree(root: Descriptor, levels: Levels) -> Referrer {
    let mut above: Vec<Vec<Referrer>> = Vec::new();
    for (depth, level) in levels.iter().enumerate().rev() {
        let subjects = if depth == 0 { 1 } else { levels[depth - 1].len() };
        // `above` has one list for each manifest of this level, in order. For the last level it is empty.
        let mut referrers = above.into_iter();
        let mut grouped = vec![Vec::new(); subjects];
        for (subject, descriptor) in level {
            let referrers = referrers.next().unwrap_or_default();
            grouped[*subject].push(Referrer { descriptor: descriptor.clone(), referrers });
        }
        above = grouped;
    }
    Referrer { descriptor: root, referrers: above.into_iter().next().unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oras_memory::Memory;
    use oras_spec::ImageManifest;
    use oras_store::{Content, PushMode, Target};

    async fn refer(store: &Memory, subject: Option<&Descriptor>, artifact_type: &'static str) -> Descriptor {
        let mut manifest = ImageManifest::new(Descriptor::empty_json(), Vec::new());
        manifest.subject = subject.map(Descriptor::plain);
        manifest.artifact_type = Some(MediaType::new(artifact_type));
        let content = Content::of(MediaType::IMAGE_MANIFEST, manifest.to_bytes());
        store.push(&content, PushMode::Untagged).await.unwrap();
        content.descriptor().clone()
    }

    #[tokio::test]
    async fn builds_a_tree_of_referrers() {
        let store = Memory::new();
        let root = refer(&store, None, "root/x").await;
        let a = refer(&store, Some(&root), "a/x").await;
        let b = refer(&store, Some(&root), "b/x").await;
        let deep = refer(&store, Some(&b), "a/x").await;
        let digest = root.digest.to_string();
        let source = Arc::new(store);
        let tree = discover(source.clone(), &digest, &DiscoverOptions::default()).await.unwrap();
        let mut top: Vec<_> = tree.referrers.iter().map(|node| node.descriptor.digest.clone()).collect();
        top.sort();
        let mut expected = vec![a.digest.clone(), b.digest.clone()];
        expected.sort();
        assert_eq!(top, expected);
        let of_b = tree.referrers.iter().find(|node| node.descriptor.digest == b.digest).unwrap();
        assert_eq!(of_b.referrers[0].descriptor.digest, deep.digest);
        let options = DiscoverOptions { depth: 1, ..DiscoverOptions::default() };
        let tree = discover(source.clone(), &digest, &options).await.unwrap();
        assert!(tree.referrers.iter().all(|node| node.referrers.is_empty()));
        let options =
            DiscoverOptions { artifact_type: Some(MediaType::new("a/x")), ..DiscoverOptions::default() };
        let tree = discover(source, &digest, &options).await.unwrap();
        assert_eq!(tree.referrers.len(), 1);
    }
}
