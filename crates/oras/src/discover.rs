//! Discover: what refers to an artifact, and what refers to that.

use std::collections::HashSet;
use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use oras_spec::{Descriptor, MediaType, Platform};
use oras_store::{Error, ErrorKind, GraphSource, Predecessors, Result, Source};

use crate::resolve;

/// Levels that are followed at most: a hostile registry can claim referrers without end.
const MAX_DEPTH: usize = 256;
/// Nodes of one level that are asked for at once.
const CONCURRENCY: usize = 5;

/// What to look for.
#[derive(Clone, Debug, Default)]
pub struct DiscoverOptions {
    /// Only referrers of this type, on every level.
    pub artifact_type: Option<MediaType>,
    /// Levels of referrers; 0 means all.
    pub depth: usize,
    /// Looks at the image for this platform.
    pub platform: Option<Platform>,
}

/// A node and what refers to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referrer {
    /// The node, with its artifact type and annotations.
    pub descriptor: Descriptor,
    /// What refers to it, in the store's order.
    pub referrers: Vec<Referrer>,
}

/// The tree of referrers above what `reference` names in `source`, asked for level by level.
///
/// A node that appears twice is listed twice, and what refers to it once: cycles end.
///
/// # Errors
/// Those of the source; [`ErrorKind::TooLarge`] when referrers nest deeper than any honest registry's.
pub async fn discover(
    source: Arc<dyn GraphSource>,
    reference: &str,
    options: &DiscoverOptions,
) -> Result<Referrer> {
    let plain = Arc::clone(&source) as Arc<dyn Source>;
    let root = resolve(plain, reference, options.platform.as_ref()).await?;
    let levels = levels(&*source, &root, options).await?;
    Ok(assemble(root, levels))
}

/// For each level the nodes found, each with the place of its subject in the level before.
type Levels = Vec<Vec<(usize, Descriptor)>>;

async fn levels(source: &dyn GraphSource, root: &Descriptor, options: &DiscoverOptions) -> Result<Levels> {
    let mut seen = HashSet::from([root.digest.clone()]);
    let mut ask = vec![(0, root.plain())];
    let mut levels = Levels::new();
    while !ask.is_empty() && (options.depth == 0 || levels.len() < options.depth) {
        if levels.len() == MAX_DEPTH {
            let message = format!("referrers of {} nest deeper than {MAX_DEPTH} levels", root.digest);
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        let answers: Vec<(usize, Vec<Descriptor>)> = stream::iter(ask)
            .map(|(place, node)| async move {
                let found = Predecessors::predecessors(source, &node, options.artifact_type.as_ref()).await?;
                Ok::<_, Error>((place, found))
            })
            .buffered(CONCURRENCY)
            .try_collect()
            .await?;
        let level: Vec<_> = answers
            .into_iter()
            .flat_map(|(subject, found)| found.into_iter().map(move |node| (subject, node)))
            .collect();
        ask = level
            .iter()
            .enumerate()
            .filter(|(_, (_, node))| seen.insert(node.digest.clone()))
            .map(|(place, (_, node))| (place, node.plain()))
            .collect();
        levels.push(level);
    }
    Ok(levels)
}

fn assemble(root: Descriptor, levels: Levels) -> Referrer {
    let mut above: Vec<Vec<Referrer>> = Vec::new();
    for (depth, level) in levels.iter().enumerate().rev() {
        let subjects = if depth == 0 { 1 } else { levels[depth - 1].len() };
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
    use oras_store::{Content, Target};

    async fn refer(store: &Memory, subject: Option<&Descriptor>, artifact_type: &'static str) -> Descriptor {
        let mut manifest = ImageManifest::new(Descriptor::empty_json(), Vec::new());
        manifest.subject = subject.map(Descriptor::plain);
        manifest.artifact_type = Some(artifact_type.into());
        let content = Content::of(MediaType::IMAGE_MANIFEST, manifest.to_bytes());
        store.push(&content).await.unwrap();
        content.descriptor().clone()
    }

    #[tokio::test]
    async fn levels_become_a_tree() {
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
        let options = DiscoverOptions { artifact_type: Some("a/x".into()), ..DiscoverOptions::default() };
        let tree = discover(source, &digest, &options).await.unwrap();
        assert_eq!(tree.referrers.len(), 1);
    }
}
