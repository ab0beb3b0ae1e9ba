//! The transfer of tags and their artifacts, for backup and restore.

use oras_copy::Concurrency;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::vec::IntoIter;

use async_trait::async_trait;
use futures::stream::{self, Buffered, Iter, StreamExt, TryStreamExt};
use oras_copy::{CopyOptions, TagPolicy, copy_graph, referrers};
use oras_spec::{Descriptor, Digest};
use oras_store::{Content, Error, ErrorKind, PushMode, Pushed, ReadStore, Result, Side, Source, Target};

use crate::listener::CopyObserver;
use crate::tag::REQUESTS;
use crate::{Listener, Step};

/// A tag that a backup or restore copied, or would copy in a run without `dry_run`. Programs report it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaggedArtifact {
    /// The tag.
    pub tag: String,
    /// The manifest that the tag names.
    pub root: Descriptor,
    /// The number of direct and indirect referrers of the manifest and of manifests in it. 0 if referrers are not
    /// copied.
    pub referrers: usize,
}

/// The error of a source without tags. It is in the chain of an error of the kind [`ErrorKind::NotFound`].
///
/// ```
/// use oras::{Memory, NoTags, Quiet, RestoreOptions};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let error = oras::restore(Memory::new(), Memory::new(), RestoreOptions::default(), Quiet).await.unwrap_err();
/// assert!(error.find::<NoTags>().is_some());
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no tags found")]
pub struct NoTags;

/// The tags to copy, and the nodes that must be stored before the first tag is written.
pub(crate) struct TagTransfer {
    source: Arc<dyn ReadStore>,
    concurrency: Concurrency,
    listener: Arc<dyn Listener>,
    pub(crate) artifacts: Vec<TaggedArtifact>,
    nodes: Vec<Descriptor>,
}

impl TagTransfer {
    /// Resolves `tags` in `source`, and finds the referrers of their manifests if `with_referrers`.
    pub(crate) async fn plan(
        source: Arc<dyn ReadStore>,
        tags: Vec<String>,
        with_referrers: bool,
        concurrency: Concurrency,
        listener: Arc<dyn Listener>,
    ) -> Result<Self> {
        if tags.is_empty() {
            return Err(Error::from_source(ErrorKind::NotFound, NoTags));
        }
        let from = &source;
        let resolved = tags.iter().map(|tag| async move {
            let resolved = from.resolve(tag).await;
            resolved.map_err(|error| error.context(format!("failed to resolve tag {tag:?}")))
        });
        // All tags are resolved before anything is copied, so that a missing tag fails the run at once.
        let roots: Vec<Descriptor> = run_in_order(resolved, concurrency).try_collect().await?;
        listener.step(Step::TagsFound(&tags));

        let mut nodes = Vec::new();
        // Tags may share a manifest, and manifests may share referrers. Each is copied once.
        let mut planned = HashSet::new();
        nodes.extend(roots.iter().filter(|root| planned.insert(root.digest.clone())).cloned());
        let mut counts = BTreeMap::new();
        if with_referrers {
            for (root, found) in referrers_of_roots(&source, &nodes, concurrency).await? {
                counts.insert(root, found.len());
                nodes.extend(found.into_iter().filter(|node| planned.insert(node.digest.clone())));
            }
        }
        let artifact = |(tag, root): (String, Descriptor)| {
            let referrers = counts.get(&root.digest).copied().unwrap_or_default();
            TaggedArtifact { tag, root, referrers }
        };
        let artifacts = tags.into_iter().zip(roots).map(artifact).collect();
        Ok(Self { source, concurrency, listener, artifacts, nodes })
    }

    /// Copies each node once, and then writes the tags.
    ///
    /// A single tag without referrers is written together with its manifest if `can_tag_with_root`, which is one
    /// request fewer at a registry.
    pub(crate) async fn run(&self, target: &Arc<dyn Target>, can_tag_with_root: bool) -> Result<()> {
        self.check_tags(&**target)?;
        // With several nodes the tag must wait, so that it never names an artifact whose referrers are missing.
        let only = match &self.artifacts[..] {
            [artifact] if can_tag_with_root && self.nodes.len() == 1 => Some(artifact.tag.as_str()),
            _ => None,
        };
        let copy = CopyOptions::default()
            .tag(TagPolicy::with_root(only))
            .concurrency(self.concurrency)
            .observer(Arc::new(CopyObserver(Arc::clone(&self.listener))));
        self.copy_nodes(Arc::clone(target), copy).await?;
        let written = self.artifacts.iter().map(|artifact| async move {
            if only.is_none() {
                let root = self.content(&artifact.root);
                let written = target.push(&root, PushMode::AddTag(&artifact.tag)).await;
                written.map_err(|error| error.on(Side::Destination))?;
            }
            Ok::<_, Error>(artifact)
        });
        // In order, so that the tags are reported in the order of the artifacts.
        let mut written = run_in_order(written, self.concurrency);
        while let Some(artifact) = written.try_next().await? {
            self.report(artifact);
        }
        Ok(())
    }

    fn content(&self, node: &Descriptor) -> Content {
        Content::from_source(Arc::clone(&self.source) as Arc<dyn Source>, node.clone())
    }

    async fn copy_nodes(&self, target: Arc<dyn Target>, copy: CopyOptions) -> Result<()> {
        let roots = self.nodes.iter().map(|node| self.content(node)).collect();
        copy_graph(Arc::clone(&self.source), target, roots, copy).await.map(drop)
    }

    /// Returns an error if `target` rejects one of the tags. Makes no request.
    pub(crate) fn check_tags(&self, target: &dyn Target) -> Result<()> {
        crate::tag::check_tags(target, self.artifacts.iter().map(|artifact| &artifact.tag))
    }

    /// Checks whether [`TagTransfer::run`] would succeed, without reading whole blobs or writing anything.
    ///
    /// Returns an error for a tag that `target` rejects, and for content that exists on neither side. Reports the tags
    /// that name other manifests at the target.
    pub(crate) async fn dry_run(&self, target: &Arc<dyn Target>) -> Result<()> {
        self.check_tags(&**target)?;
        let probe = ProbeTarget { source: Arc::clone(&self.source), target: Arc::clone(target) };
        // The engine visits the graph as in a real run, and so finds each missing blob.
        let copy = CopyOptions::default().concurrency(self.concurrency);
        self.copy_nodes(Arc::new(probe), copy).await?;
        for TaggedArtifact { tag, root, .. } in &self.artifacts {
            if let Some(from) = target.tagged(tag).await.filter(|from| *from != root.digest) {
                self.listener.step(Step::TagMoves { tag, from: &from });
            }
        }
        Ok(())
    }

    /// Reports the steps that [`TagTransfer::run`] reports for the tags.
    pub(crate) fn report_artifacts(&self) {
        self.artifacts.iter().for_each(|artifact| self.report(artifact));
    }

    fn report(&self, TaggedArtifact { tag, referrers, .. }: &TaggedArtifact) {
        self.listener.step(Step::ArtifactDone { tag, referrers: *referrers });
    }
}

/// A target for dry runs. It accepts content that exists in `source` or `target`, and stores nothing.
struct ProbeTarget {
    source: Arc<dyn ReadStore>,
    target: Arc<dyn Target>,
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Target for ProbeTarget {
    /// Checks the target only for content that the source lacks. A dry run of a complete layout needs no network.
    async fn exists(&self, descriptor: &Descriptor) -> Result<bool> {
        Ok(!self.is_in_source(descriptor).await? && self.target.exists(descriptor).await?)
    }

    async fn push(&self, content: &Content, _: PushMode<'_>) -> Result<Pushed> {
        if self.is_in_source(content.descriptor()).await? {
            return Ok(Pushed::Copied);
        }
        if self.target.exists(content.descriptor()).await? {
            return Ok(Pushed::Existed);
        }
        Err(Error::not_found(&content.descriptor().digest).on(Side::Source))
    }

    async fn sync(&self) -> Result<()> {
        Ok(())
    }

    async fn tagged(&self, tag: &str) -> Option<Digest> {
        self.target.tagged(tag).await
    }

    fn check_tag(&self, tag: &str) -> Result<()> {
        self.target.check_tag(tag)
    }
}

impl ProbeTarget {
    /// Returns true if the first chunk of the content can be read. The trait [`Source`] has no other check for content.
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
            // Any other error does not show that the content is missing, so it ends the dry run.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error.on(Side::Source)),
        }
    }
}

/// Lists all tags of `source`.
pub(crate) async fn list_tags(source: &dyn ReadStore) -> Result<Vec<String>> {
    source.tags_after(None).try_collect().await.map_err(|error| error.context("failed to find tags"))
}

/// Returns the referrers of each root.
///
/// The limit applies to roots if there are several, and to the nodes of the graph if there is one root. Otherwise the
/// number of requests would be the square of the limit.
async fn referrers_of_roots(
    source: &Arc<dyn ReadStore>,
    roots: &[Descriptor],
    concurrency: Concurrency,
) -> Result<Vec<(Digest, Vec<Descriptor>)>> {
    let limit = concurrency.get_or(REQUESTS);
    let (across, within) = if roots.len() == 1 { (1, limit) } else { (limit, 1) };
    let find = |root: &Descriptor| {
        let root = Content::from_source(Arc::clone(source) as Arc<dyn Source>, root.clone());
        async move {
            let found = referrers(source, &root, within).await?;
            Ok((root.descriptor().digest.clone(), found))
        }
    };
    run_in_order(roots.iter().map(find), across.into()).try_collect().await
}

/// Runs at most `concurrency` of `steps` at a time, and returns their results in order.
///
/// Collects the futures first: a stream that holds the closure of the iterator would not be `Send`.
fn run_in_order<F: Future>(
    steps: impl Iterator<Item = F>,
    concurrency: Concurrency,
) -> Buffered<Iter<IntoIter<F>>> {
    stream::iter(steps.collect::<Vec<_>>()).buffered(concurrency.get_or(REQUESTS))
}
