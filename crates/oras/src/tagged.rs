//! Tags with all that is below them and refers to them, as backup and restore move them: together.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::vec::IntoIter;

use async_trait::async_trait;
use futures::stream::{self, Buffered, Iter, StreamExt, TryStreamExt};
use oras_copy::{CopyOptions, TagPolicy, copy_graph, referrers};
use oras_spec::{Descriptor, Digest};
use oras_store::{Content, Error, ErrorKind, GraphSource, Pushed, ReadStore, Result, Side, Source, Target};

use crate::listener::Nodes;
use crate::{Listener, Step};

/// A tag that was moved, or would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaggedArtifact {
    /// The tag.
    pub tag: String,
    /// The manifest it names.
    pub root: Descriptor,
    /// How many manifests refer to it, to a manifest in it, or to one of those; 0 when referrers were not asked for.
    pub referrers: usize,
}

/// There is no tag in the source; among the sources of an error of kind `NotFound`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoTags;

impl fmt::Display for NoTags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no tags found")
    }
}

impl std::error::Error for NoTags {}

/// What is moved: tags, and the nodes that must be there before any of them is written.
pub(crate) struct Plan {
    pub(crate) artifacts: Vec<TaggedArtifact>,
    nodes: Vec<Descriptor>,
}

impl Plan {
    /// Finds what `tags` name in `source`, and what refers to that.
    pub(crate) async fn make(
        source: &Arc<dyn ReadStore>,
        tags: Vec<String>,
        with_referrers: bool,
        concurrency: usize,
        listener: &dyn Listener,
    ) -> Result<Self> {
        if tags.is_empty() {
            return Err(Error::from_source(ErrorKind::NotFound, NoTags));
        }
        let resolved = tags.iter().map(|tag| async move {
            let resolved = source.resolve(tag).await;
            resolved.map_err(|error| error.context(format!("failed to resolve tag {tag:?}")))
        });
        let roots: Vec<Descriptor> = in_order(resolved, concurrency).try_collect().await?;
        listener.step(Step::TagsFound(&tags));

        let mut nodes = Vec::new();
        let mut seen = HashSet::new();
        nodes.extend(roots.iter().filter(|root| seen.insert(root.digest.clone())).cloned());
        let mut counts = BTreeMap::new();
        if with_referrers {
            for (root, found) in of_all(source, &nodes, concurrency).await? {
                counts.insert(root, found.len());
                nodes.extend(found.into_iter().filter(|node| seen.insert(node.digest.clone())));
            }
        }
        let artifact = |(tag, root): (String, Descriptor)| {
            let referrers = counts.get(&root.digest).copied().unwrap_or_default();
            TaggedArtifact { tag, root, referrers }
        };
        Ok(Self { artifacts: tags.into_iter().zip(roots).map(artifact).collect(), nodes })
    }

    /// Copies every node, each once, and then writes the tags. A tag that is alone is written together with its
    /// manifest if `together` says so: in one request where the target is a registry.
    pub(crate) async fn run(
        &self,
        source: &Arc<dyn ReadStore>,
        target: &Arc<dyn Target>,
        together: bool,
        concurrency: usize,
        listener: &Arc<dyn Listener>,
    ) -> Result<()> {
        self.check(&**target)?;
        let content =
            |node: &Descriptor| Content::from_source(Arc::clone(source) as Arc<dyn Source>, node.clone());
        let only = match &self.artifacts[..] {
            [artifact] if together && self.nodes.len() == 1 => Some(artifact.tag.as_str()),
            _ => None,
        };
        let copy = CopyOptions {
            tag: TagPolicy::with_root(only),
            concurrency,
            observer: Arc::new(Nodes(Arc::clone(listener))),
            ..CopyOptions::default()
        };
        let roots = self.nodes.iter().map(content).collect();
        copy_graph(Arc::clone(source) as _, Arc::clone(target), roots, copy).await?;
        let written = self.artifacts.iter().map(|artifact| async move {
            if only.is_none() {
                let written = target.add_tag(&content(&artifact.root), &artifact.tag).await;
                written.map_err(|error| error.on(Side::Destination))?;
            }
            Ok::<_, Error>(artifact)
        });
        let mut written = in_order(written, concurrency);
        while let Some(TaggedArtifact { tag, referrers, .. }) = written.try_next().await? {
            listener.step(Step::ArtifactDone { tag, referrers: *referrers });
        }
        Ok(())
    }

    /// Checks that `target` takes every tag, before any request to it.
    pub(crate) fn check(&self, target: &dyn Target) -> Result<()> {
        crate::tag::check(target, self.artifacts.iter().map(|artifact| &artifact.tag))
    }

    /// Finds out whether [`Plan::run`] would succeed, without reading blobs or writing anything: returns its error for a
    /// tag that `target` does not take, and for content that neither side has. Reports the tags that would move.
    pub(crate) async fn inspect(
        &self,
        source: &Arc<dyn ReadStore>,
        target: &Arc<dyn Target>,
        concurrency: usize,
        listener: &dyn Listener,
    ) -> Result<()> {
        self.check(&**target)?;
        let source = Arc::clone(source) as Arc<dyn Source>;
        let content = |node: &Descriptor| Content::from_source(Arc::clone(&source), node.clone());
        let probe = Probe { source: Arc::clone(&source), target: Arc::clone(target) };
        let copy = CopyOptions { concurrency, ..CopyOptions::default() };
        let roots = self.nodes.iter().map(content).collect();
        copy_graph(Arc::clone(&source), Arc::new(probe), roots, copy).await?;
        for TaggedArtifact { tag, root, .. } in &self.artifacts {
            if let Some(from) = target.tagged(tag).await.filter(|from| *from != root.digest) {
                listener.step(Step::TagMoves { tag, from: &from });
            }
        }
        Ok(())
    }

    /// Tells what [`Plan::run`] would tell of the tags.
    pub(crate) fn rehearse(&self, listener: &dyn Listener) {
        for TaggedArtifact { tag, referrers, .. } in &self.artifacts {
            listener.step(Step::ArtifactDone { tag, referrers: *referrers });
        }
    }
}

/// A target that takes what `source` or `target` has, and stores nothing.
struct Probe {
    source: Arc<dyn Source>,
    target: Arc<dyn Target>,
}

#[async_trait]
impl Target for Probe {
    /// Asks the target only for what the source lacks: a dry run works without network as long as nothing is missing.
    async fn exists(&self, descriptor: &Descriptor) -> Result<bool> {
        Ok(!self.is_in_source(descriptor).await? && self.target.exists(descriptor).await?)
    }

    async fn push(&self, content: &Content) -> Result<Pushed> {
        if self.is_in_source(content.descriptor()).await? {
            return Ok(Pushed::Copied);
        }
        Err(Error::not_found(&content.descriptor().digest).on(Side::Source))
    }

    async fn tag(&self, _: &Content, _: &str) -> Result<()> {
        Ok(())
    }
}

impl Probe {
    async fn is_in_source(&self, descriptor: &Descriptor) -> Result<bool> {
        if descriptor.embedded().is_some() {
            return Ok(true);
        }
        let first = async {
            let mut bytes = self.source.fetch(descriptor, 0..descriptor.size).await?;
            bytes.try_next().await
        };
        match first.await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error.on(Side::Source)),
        }
    }
}

/// Lists all tags of `source`.
pub(crate) async fn list(source: &dyn ReadStore) -> Result<Vec<String>> {
    source.tags(None).try_collect().await.map_err(|error| error.context("failed to find tags"))
}

/// The referrers of each root: one root at a time asks for several nodes at once, several roots for one each.
async fn of_all(
    source: &Arc<dyn ReadStore>,
    roots: &[Descriptor],
    concurrency: usize,
) -> Result<Vec<(Digest, Vec<Descriptor>)>> {
    let source = Arc::clone(source) as Arc<dyn GraphSource>;
    let source = &source;
    let (across, within) = if roots.len() == 1 { (1, limit(concurrency)) } else { (limit(concurrency), 1) };
    let find = |root: &Descriptor| {
        let root = Content::from_source(Arc::clone(source) as Arc<dyn Source>, root.clone());
        async move {
            let found = referrers(source, &root, within).await?;
            Ok((root.descriptor().digest.clone(), found))
        }
    };
    in_order(roots.iter().map(find), across).try_collect().await
}

/// Runs `steps`, as many at a time as `concurrency` says. They are made before: a stream that held the closure which
/// makes them could not be sent to another thread.
fn in_order<F: Future>(steps: impl Iterator<Item = F>, concurrency: usize) -> Buffered<Iter<IntoIter<F>>> {
    stream::iter(steps.collect::<Vec<_>>()).buffered(limit(concurrency))
}

fn limit(concurrency: usize) -> usize {
    if concurrency == 0 { 5 } else { concurrency }
}
