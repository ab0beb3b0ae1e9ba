//! The scheduler: one task owns the graph and runs a bounded set of steps.

use std::fmt;
use std::sync::{Arc, Once};

use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt, future::BoxFuture};
use oras_spec::{Descriptor, Manifest, MediaKind};
use oras_store::{Content, Error, ErrorKind, MAX_MANIFEST_SIZE, Pushed, Result, Side, Source, Target};

use crate::event::{Event, Observer, Silent};
use crate::graph::{Graph, NodeKey, Task};
use crate::limits::{LARGE, Limits};
use crate::sided::SourceSide;

/// Selects the children of a manifest that are copied.
pub type Children = Arc<dyn Fn(&Manifest) -> Vec<Descriptor> + Send + Sync>;

/// Returns all children: subject, config and layers, without layers that must not be distributed (image-spec, layer.md
/// "Non-Distributable Layers").
pub fn all_children(manifest: &Manifest) -> Vec<Descriptor> {
    let mut children = manifest.children();
    children.retain(|child| child.media_type.kind() != MediaKind::Foreign);
    children
}

/// Like [`all_children`], without the subject, for a target that has the subject or must not get it.
pub fn without_subject(manifest: &Manifest) -> Vec<Descriptor> {
    let mut children = all_children(manifest);
    if manifest.subject().is_some() && !children.is_empty() {
        children.remove(0);
    }
    children
}

/// A copy of graphs from a source to a target.
///
/// Cheap to make and to clone. [`GraphCopy::run`] can be called many times.
#[derive(Clone)]
pub struct GraphCopy {
    source: Arc<dyn Source>,
    target: Arc<dyn Target>,
    limits: Limits,
    force: bool,
    tag_last: bool,
    overwrite_tag: bool,
    max_manifest_size: u64,
    children: Children,
    sent: Arc<[Descriptor]>,
    observer: Arc<dyn Observer>,
}

impl GraphCopy {
    /// Makes a copy from `source` to `target`, of all children, without an observer.
    pub fn new(source: Arc<dyn Source>, target: Arc<dyn Target>) -> Self {
        Self {
            source: Arc::new(SourceSide(source)),
            target,
            limits: Limits::default(),
            force: false,
            tag_last: false,
            overwrite_tag: false,
            max_manifest_size: MAX_MANIFEST_SIZE,
            children: Arc::new(all_children),
            sent: Arc::new([]),
            observer: Arc::new(Silent),
        }
    }

    /// Copies at most `nodes` nodes at a time. 0 means the default: 32 requests and small blobs, and 5 large blobs.
    #[must_use]
    pub fn concurrency(mut self, nodes: usize) -> Self {
        self.limits = Limits::of(nodes);
        self
    }

    /// Also visits the children of manifests that the target has. This repairs a target with a part of a graph.
    #[must_use]
    pub fn force(mut self, force: bool) -> Self {
        self.force = force;
        self
    }

    /// Writes the tag in a request of its own, not together with the root.
    #[must_use]
    pub fn tag_last(mut self, tag_last: bool) -> Self {
        self.tag_last = tag_last;
        self
    }

    /// Writes the tag of an existing root without a check whether it names the root: the caller knows that it does not.
    #[must_use]
    pub fn overwrite_tag(mut self, overwrite: bool) -> Self {
        self.overwrite_tag = overwrite;
        self
    }

    /// Rejects manifests of more than `bytes` bytes.
    #[must_use]
    pub fn max_manifest_size(mut self, bytes: u64) -> Self {
        self.max_manifest_size = bytes;
        self
    }

    /// Copies only the children that `children` selects.
    #[must_use]
    pub fn children(mut self, children: Children) -> Self {
        self.children = children;
        self
    }

    /// Treats these nodes and their descendants as present at the target, and reports no events for them.
    #[must_use]
    pub fn sent(mut self, nodes: Vec<Descriptor>) -> Self {
        self.sent = nodes.into();
        self
    }

    /// Reports events to `observer`.
    #[must_use]
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = observer;
        self
    }

    /// Copies the graphs of `roots`, and then tags the first root with `tag`.
    ///
    /// Nodes that the target has are skipped, and so are their descendants, unless [`GraphCopy::force`] is set. Dropping the
    /// future stops all transfers. Nodes that were already stored stay, without a tag.
    ///
    /// # Errors
    /// Returns the first error, with the side that failed. The tag is not written.
    pub async fn run(&self, roots: Vec<Content>, tag: Option<&str>) -> Result<()> {
        let first = roots.first().map(|root| NodeKey::of(root.descriptor()));
        // A single root is tagged together with its push, because a registry does both in one request.
        let name = match tag {
            _ if roots.len() > 1 => Name::Quiet,
            Some(tag) if !self.tag_last => Name::With(tag.to_owned()),
            _ => Name::None,
        };
        let named = roots.first().cloned();
        let mut graph = Graph::new(self.limits.is_one());
        self.sent.iter().for_each(|node| graph.add_sent(node));
        for root in roots {
            graph.add(root);
        }
        let drained = self.drain(&mut graph, &name, first.as_ref()).await;
        // Also after an error, because nodes that were stored stay.
        let flushed = self.target.sync().await.map_err(|error| error.on(Side::Destination));
        drained.and(flushed)?;
        match (tag, named) {
            (Some(tag), Some(root)) if !matches!(name, Name::With(_)) => {
                self.target.add_tag(&root, tag).await.map_err(|error| error.on(Side::Destination))
            }
            _ => Ok(()),
        }
    }

    async fn drain(&self, graph: &mut Graph, name: &Name, named: Option<&NodeKey>) -> Result<()> {
        let mut running: FuturesUnordered<BoxFuture<'_, (Task, Result<Done>)>> = FuturesUnordered::new();
        let mut streams = 0;
        loop {
            while let Some((key, task)) = graph.next(self.limits.room(running.len(), streams)) {
                let Some((content, children)) = graph.take(&key) else { continue };
                let name = if named == Some(&key) { name.clone() } else { Name::None };
                streams += usize::from(task == Task::Stream);
                let step = match task {
                    Task::Visit => self.visit(content, name).boxed(),
                    Task::Stream | Task::Push => self.push(content, children, name).boxed(),
                };
                running.push(step.map(move |done| (task, done)).boxed());
            }
            let Some((task, done)) = running.next().await else { return Ok(()) };
            streams -= usize::from(task == Task::Stream);
            match done? {
                Done::Node { key, outcome } => graph.finish(&key, outcome),
                Done::Absent(content) => graph.stream(content),
                Done::Opened(content, children) => graph.open(content, children),
            }
            for twin in graph.take_twins() {
                // One node at a time, as Go copies them, the second check finds the bytes of the first node.
                let outcome = if self.limits.is_one() { Pushed::Existed } else { twin.outcome };
                self.observer.event(Event::Twin { node: &twin.node, outcome });
            }
        }
    }

    /// Checks whether the target has the node. If not, pushes a small leaf, or opens a manifest.
    async fn visit(&self, content: Content, name: Name) -> Result<Done> {
        let node = content.descriptor();
        let manifest = node.media_type.is_manifest();
        let exists = (manifest || !self.target.push_checks_existence(&content))
            && self.target.exists(node).await.map_err(|error| error.on(Side::Destination))?;
        if exists && !(self.force && manifest) {
            let mut outcome = None;
            match name {
                Name::None => {
                    outcome = Some(Pushed::Existed);
                    self.observer.event(Event::Finished { node, outcome: Pushed::Existed, children: &[] });
                }
                Name::Quiet => {}
                // The root exists and needs only its tag.
                Name::With(tag) => {
                    self.observer.event(Event::Naming(node));
                    if self.overwrite_tag || self.target.tagged(&tag).await.as_ref() != Some(&node.digest) {
                        let root = self.read(&content).await?;
                        self.target.tag(&root, &tag).await.map_err(|error| error.on(Side::Destination))?;
                    }
                }
            }
            return Ok(Done::Node { key: NodeKey::of(node), outcome });
        }
        if !manifest && node.size > LARGE {
            return Ok(Done::Absent(content));
        }
        if !manifest {
            return self.push(content, Vec::new(), name).await;
        }
        self.observer.event(Event::Opening(node));
        let content = self.read(&content).await?;
        let parsed =
            content.manifest(self.max_manifest_size).await.map_err(|error| error.on(Side::Source))?;
        self.observer.event(Event::Opened(node));
        let child =
            |child: Descriptor| (child.clone(), Content::from_source(Arc::clone(&self.source), child));
        let children = (self.children)(&parsed).into_iter().map(child).collect();
        Ok(Done::Opened(content, children))
    }

    /// Reads a manifest into memory, so that it is read once and pushed from there.
    async fn read(&self, content: &Content) -> Result<Content> {
        if content.in_memory().is_some() {
            return Ok(content.clone());
        }
        let bytes = content.bytes(self.max_manifest_size).await.map_err(|error| error.on(Side::Source))?;
        Content::from_bytes(content.descriptor().clone(), bytes).map_err(|error| error.on(Side::Source))
    }

    /// Pushes a node whose children exist at the target.
    ///
    /// `Started` is reported at once if a request showed that the target lacks the node. Otherwise the push itself shows it:
    /// by the first transferred byte, or by its outcome.
    async fn push(&self, content: Content, children: Vec<Descriptor>, name: Name) -> Result<Done> {
        let node = Arc::new(content.descriptor().clone());
        let push_checks_existence =
            !node.media_type.is_manifest() && self.target.push_checks_existence(&content);
        let start = Arc::new(Once::new());
        let started = || start.call_once(|| self.observer.event(Event::Started(&node)));
        if !push_checks_existence {
            started();
        }
        let progress = {
            let (observer, node, start) = (Arc::clone(&self.observer), Arc::clone(&node), Arc::clone(&start));
            Arc::new(move |bytes| {
                start.call_once(|| observer.event(Event::Started(&node)));
                observer.event(Event::Progress(&node, bytes));
            })
        };
        let content = content.with_progress(progress);
        let pushed = match name {
            // An invalid tag, or a manifest that the target rejects, is an error of the destination.
            Name::With(tag) => {
                let named = self.target.tag(&content, &tag).await.map(|()| Pushed::Copied);
                named.map_err(|error| error.on(Side::Destination))
            }
            Name::None | Name::Quiet if node.media_type.is_manifest() => {
                self.target.push_deferred(&content).await.map_err(side_of_push)
            }
            Name::None | Name::Quiet => self.target.push(&content).await.map_err(side_of_push),
        };
        if !matches!(pushed, Ok(Pushed::Existed)) {
            started();
        }
        let outcome = pushed?;
        self.observer.event(Event::Finished { node: &node, outcome, children: &children });
        Ok(Done::Node { key: NodeKey::of(&node), outcome: Some(outcome) })
    }
}

/// Bytes that do not match their descriptor are an error of the source.
fn side_of_push(error: Error) -> Error {
    match error.kind() {
        ErrorKind::DigestMismatch | ErrorKind::SizeMismatch => error.on(Side::Source),
        _ => error.on(Side::Destination),
    }
}

impl fmt::Debug for GraphCopy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GraphCopy")
            .field("limits", &self.limits)
            .field("force", &self.force)
            .field("max_manifest_size", &self.max_manifest_size)
            .finish_non_exhaustive()
    }
}

/// The tag of the first root.
#[derive(Clone, Debug)]
enum Name {
    /// No tag is written together with the node.
    None,
    /// The tag is written together with the node.
    With(String),
    /// The node is the subject of the other roots: their events imply that it exists.
    Quiet,
}

/// The result of a step.
enum Done {
    /// The target has the node.
    Node {
        key: NodeKey,
        /// The outcome; `None` if it was not reported.
        outcome: Option<Pushed>,
    },
    /// The target lacks the large leaf, or the push will show whether it does.
    Absent(Content),
    /// The manifest was read: its content and its children.
    Opened(Content, Vec<(Descriptor, Content)>),
}
