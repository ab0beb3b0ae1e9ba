//! Finds the referrers of a graph, and their referrers, so that they can be copied too.

use crate::Concurrency;
use std::collections::HashSet;
use std::sync::Arc;

use crate::step_limits::STEPS;
use futures::stream::{self, StreamExt, TryStreamExt};
use oras_spec::{Descriptor, Digest, MediaKind};
use oras_store::{Content, MAX_MANIFEST_SIZE, ReadStore, Result, Side, Source};

/// Finds every manifest that refers to `root`, to a child manifest if `root` is an index, or to another referrer.
///
/// Each digest is returned once, nearest first, even if referrers form a cycle. Levels are read one after the other,
/// with `concurrency` requests at a time; 32 by default.
pub async fn referrers(
    source: &Arc<dyn ReadStore>,
    root: &Content,
    concurrency: impl Into<Concurrency>,
) -> Result<Vec<Descriptor>> {
    let node = |node: Descriptor| Content::from_source(Arc::clone(source) as Arc<dyn Source>, node);
    let concurrency = concurrency.into().get_or(STEPS);
    let mut found = Vec::new();
    // Each digest is visited once, which also ends cycles.
    let mut visited = HashSet::from([root.descriptor().digest.clone()]);
    let mut level = vec![root.clone()];
    while !level.is_empty() {
        let answers: Vec<Neighbours> = stream::iter(level)
            .map(|node| neighbours(source, node))
            // Keeps the order of the nodes, so that the result does not depend on timing.
            .buffered(concurrency)
            .try_collect()
            .await
            .map_err(|error: oras_store::Error| error.on(Side::Source))?;
        level = Vec::new();
        for Neighbours { children, referrers } in answers {
            level.extend(children.into_iter().filter(|child| visited.insert(child.digest.clone())).map(node));
            for referrer in referrers {
                if visited.insert(referrer.digest.clone()) {
                    level.push(node(referrer.plain()));
                    found.push(referrer);
                }
            }
        }
    }
    Ok(found)
}

/// The manifests next to a node in the graph.
struct Neighbours {
    children: Vec<Descriptor>,
    referrers: Vec<Descriptor>,
}

async fn neighbours(source: &Arc<dyn ReadStore>, content: Content) -> Result<Neighbours> {
    let node = content.descriptor();
    let mut children = Vec::new();
    // Only an index has manifests as children. Its subject is not a child, so referrers of the subject are not copied.
    if node.media_type.kind() == MediaKind::Index {
        let subject =
            |manifest: &oras_spec::Manifest| manifest.subject().map(|subject| subject.digest.clone());
        let index = content.manifest(MAX_MANIFEST_SIZE).await?;
        let subject = subject(&index);
        children = index.children();
        children.retain(|child| child.media_type.is_manifest() && Some(&child.digest) != subject.as_ref());
    }
    let mut referrers = source.predecessors(node, None).await?;
    // A registry without the referrers API may return the index itself for the tag `sha256-<hex>`, so that its children
    // look like its referrers. A child cannot refer to its parent: it would have to contain its own digest.
    let own: HashSet<&Digest> = children.iter().map(|child| &child.digest).collect();
    referrers.retain(|referrer| !own.contains(&referrer.digest));
    Ok(Neighbours { children, referrers })
}
