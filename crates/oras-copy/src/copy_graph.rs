//! The scheduler: one task owns the graph and runs a bounded set of steps.

use std::sync::{Arc, Once};

use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt, future::BoxFuture};
use oras_spec::{Descriptor, Manifest};
use oras_store::{Content, Error, ErrorKind, ProgressUpdate, PushMode, Pushed, Result, Side, Source, Target};

use crate::copy_options::{CopyOptions, TagPolicy};
use crate::copy_report::{CopiedNode, CopyReport};
use crate::event::{Event, Observer};
use crate::graph::{Graph, NodeKey, Task};
use crate::selection::{SelectedChildren, Selection};
use crate::source_side::SourceSide;
use crate::step_limits::{LARGE, Limits};

/// Copies the graphs of `roots` from `source` to `target`, children before their parents, and tags the first root.
///
/// Each digest is transferred once. Nodes that the target has are skipped, and so are their descendants, unless
/// [`CopyOptions::force`] is set. Dropping the future stops all transfers. Nodes that were already stored stay, without
/// a tag.
///
/// # Errors
/// Returns the first error, with the side that failed. The tag is not written.
pub async fn copy_graph(
    source: impl Source + 'static,
    target: impl Target + 'static,
    roots: Vec<Content>,
    options: CopyOptions,
) -> Result<CopyReport> {
    copy_between(Arc::new(source), Arc::new(target), roots, options).await
}

/// [`copy_graph`] for trait objects, so that it is compiled once.
async fn copy_between(
    source: Arc<dyn Source>,
    target: Arc<dyn Target>,
    roots: Vec<Content>,
    options: CopyOptions,
) -> Result<CopyReport> {
    let CopyOptions { tag, selection, concurrency, force, max_manifest_size, present, observer } = options;
    let limits = Limits::of(concurrency);
    let mut graph = Graph::new(limits.is_one());
    present.iter().for_each(|node| graph.add_present(node));
    let (first, count) = (roots.first().cloned(), roots.len());
    for root in roots {
        graph.add(root);
    }
    let mut run = Run { graph, selection, report: CopyReport::default(), twins_exist: limits.is_one() };
    let steps = Steps {
        source: Arc::new(SourceSide(source)),
        target: Arc::clone(&target),
        force,
        max_manifest_size,
        first_root: FirstRoot::new(first.as_ref(), count, &tag),
        observer,
    };
    let drained = run.drain(&steps, limits).await;
    // Syncs also after an error, because nodes that were stored stay.
    let synced = target.sync().await.map_err(|error| error.on(Side::Destination));
    drained.and(synced)?;
    // Writes the tag after the sync, so that it never names manifests that are lost if the process ends.
    if let (Some(root), Some(tag), false) = (first, tag.tag(), steps.first_root.is_tagged_with_push()) {
        let added = target.push(&root, PushMode::AddTag(tag)).await;
        added.map_err(|error| error.on(Side::Destination))?;
    }
    Ok(run.report)
}

/// The first root, which gets the tag.
struct FirstRoot {
    key: Option<NodeKey>,
    naming: Naming,
}

/// How the step of a node writes a tag, and whether it reports the node.
#[derive(Clone, Debug)]
enum Naming {
    /// The step writes no tag.
    Untagged,
    /// The step writes the tag together with the node.
    Tagged { tag: String, overwrite: bool },
    /// The node is the subject of the other roots. If the target has the node, the step sends no event for it.
    Unreported,
}

impl FirstRoot {
    fn new(root: Option<&Content>, roots: usize, tag: &TagPolicy) -> Self {
        let naming = match tag {
            // A copy of several roots writes the tag at the end, when all of them are stored.
            _ if roots > 1 => Naming::Unreported,
            TagPolicy::WithRoot(tag) => Naming::Tagged { tag: tag.clone(), overwrite: false },
            TagPolicy::OverwriteWithRoot(tag) => Naming::Tagged { tag: tag.clone(), overwrite: true },
            TagPolicy::None | TagPolicy::AtEnd(_) => Naming::Untagged,
        };
        Self { key: root.map(|root| NodeKey::of(root.descriptor())), naming }
    }

    fn naming_of(&self, key: &NodeKey) -> Naming {
        if self.key.as_ref() == Some(key) { self.naming.clone() } else { Naming::Untagged }
    }

    fn is_tagged_with_push(&self) -> bool {
        matches!(self.naming, Naming::Tagged { .. })
    }
}

/// The state of one copy. One task owns it, so it needs no lock.
struct Run {
    graph: Graph,
    selection: Box<dyn Selection>,
    report: CopyReport,
    /// True if nodes are copied one at a time. Twins are then reported as existing, as in the Go tool: its check of a
    /// twin finds the bytes of the first node.
    twins_exist: bool,
}

impl Run {
    async fn drain(&mut self, steps: &Steps, limits: Limits) -> Result<()> {
        let mut running: FuturesUnordered<BoxFuture<'_, (Task, Result<Done>)>> = FuturesUnordered::new();
        let mut streams = 0;
        loop {
            // Starts all steps that the limits allow before it waits, so that no permitted request is delayed.
            while let Some((key, task)) = self.graph.next(limits.room(running.len(), streams)) {
                let Some((content, children)) = self.graph.take(&key) else { continue };
                let naming = steps.first_root.naming_of(&key);
                // Streams are counted separately, because they have a separate limit.
                streams += usize::from(task == Task::Stream);
                let step = match task {
                    Task::Visit => steps.visit(content, naming).boxed(),
                    Task::Stream | Task::Push => steps.push(content, children, naming).boxed(),
                };
                running.push(step.map(move |done| (task, done)).boxed());
            }
            let Some((task, done)) = running.next().await else { return Ok(()) };
            streams -= usize::from(task == Task::Stream);
            // After an error, returning drops `running`, which cancels all other steps.
            match done? {
                Done::Node { key, copied, is_reported } => {
                    self.graph.finish(&key, is_reported.then_some(copied.outcome));
                    self.report.nodes.push(*copied);
                }
                Done::Large(content) => self.graph.stream(content),
                Done::Opened { content, manifest } => self.open(steps, content, &manifest),
            }
            for twin in self.graph.take_twins() {
                let outcome = if self.twins_exist { Pushed::Existed } else { twin.outcome };
                steps.observer.event(Event::Twin { node: &twin.node, outcome });
            }
        }
    }

    fn open(&mut self, steps: &Steps, content: Content, manifest: &Manifest) {
        let SelectedChildren { children, left_out } = self.selection.select(manifest);
        steps.observer.event(Event::Opened {
            node: content.descriptor(),
            children: &children,
            left_out: &left_out,
        });
        self.report.left_out.extend(left_out);
        let content_of = |child: Descriptor| {
            (child.clone(), Content::from_source(Arc::clone(&steps.source) as Arc<dyn Source>, child))
        };
        self.graph.open(content, children.into_iter().map(content_of).collect());
    }
}

/// The state that the steps of a copy share. Steps run concurrently and do not modify it.
struct Steps {
    source: Arc<SourceSide>,
    target: Arc<dyn Target>,
    force: bool,
    max_manifest_size: u64,
    first_root: FirstRoot,
    observer: Arc<dyn Observer>,
}

impl Steps {
    /// Pushes a small leaf. Opens a manifest, unless the target has it: its children then need no request.
    async fn visit(&self, content: Content, naming: Naming) -> Result<Done> {
        let node = content.descriptor();
        let manifest = node.media_type.is_manifest();
        // A large leaf waits in its own queue, so that the largest is sent first.
        if !manifest && node.size > LARGE {
            return Ok(Done::Large(content));
        }
        if !manifest {
            return self.push(content, Vec::new(), naming).await;
        }
        let exists = self.target.exists(node).await.map_err(|error| error.on(Side::Destination))?;
        // With `force`, an existing manifest is opened: its children may be missing.
        if exists && !self.force {
            return self.skip(content, naming).await;
        }
        self.observer.event(Event::Opening(node));
        let content = self.read(&content).await?;
        let manifest =
            content.manifest(self.max_manifest_size).await.map_err(|error| error.on(Side::Source))?;
        Ok(Done::Opened { content, manifest })
    }

    /// Skips the node, because the target has it. Writes the tag if the node is the tagged root.
    async fn skip(&self, content: Content, naming: Naming) -> Result<Done> {
        let node = content.descriptor();
        let outcome = Pushed::Existed;
        let is_reported = matches!(naming, Naming::Untagged);
        match naming {
            Naming::Untagged => self.observer.event(Event::Finished { node, outcome, children: &[] }),
            Naming::Unreported => {}
            Naming::Tagged { tag, overwrite } => {
                self.observer.event(Event::Naming(node));
                // A read of the tag is cheaper than a write of the manifest.
                if overwrite || self.target.tagged(&tag).await.as_ref() != Some(&node.digest) {
                    // A registry sets a tag when it receives the manifest, so the bytes are read although the target
                    // has them.
                    let root = self.read(&content).await?;
                    let tagged = self.target.push(&root, PushMode::Tagged(&tag)).await;
                    tagged.map_err(|error| error.on(Side::Destination))?;
                }
            }
        }
        let copied = Box::new(CopiedNode { descriptor: node.clone(), outcome, children: Vec::new() });
        Ok(Done::Node { key: NodeKey::of(node), copied, is_reported })
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
    /// Reports `Started` for a manifest at once, because the target lacks it. The push of a blob finds out whether the
    /// target has it, so `Started` is reported at the first transferred byte, or after the push unless the blob existed.
    async fn push(&self, content: Content, children: Vec<Descriptor>, naming: Naming) -> Result<Done> {
        let node = Arc::new(content.descriptor().clone());
        let start = Arc::new(Once::new());
        let started = || start.call_once(|| self.observer.event(Event::Started(&node)));
        // `Once` ensures a single `Started` event, because the first chunk and the outcome may both report it.
        if node.media_type.is_manifest() {
            started();
        }
        let progress = {
            let (observer, node, start) = (Arc::clone(&self.observer), Arc::clone(&node), Arc::clone(&start));
            Arc::new(move |update| {
                start.call_once(|| observer.event(Event::Started(&node)));
                observer.event(match update {
                    ProgressUpdate::Transferred(bytes) => Event::Progress(&node, bytes),
                    ProgressUpdate::Present(bytes) => Event::Present(&node, bytes),
                });
            })
        };
        let content = content.with_progress(progress);
        let pushed = match naming {
            // An invalid tag, or a manifest that the target rejects, is an error of the destination.
            Naming::Tagged { tag, .. } => {
                let tagged = self.target.push(&content, PushMode::Tagged(&tag)).await;
                tagged.map(|_| Pushed::Copied).map_err(|error| error.on(Side::Destination))
            }
            Naming::Untagged | Naming::Unreported => {
                self.target.push(&content, PushMode::Deferred).await.map_err(side_of_push)
            }
        };
        if !matches!(pushed, Ok(Pushed::Existed)) {
            started();
        }
        let outcome = pushed?;
        self.observer.event(Event::Finished { node: &node, outcome, children: &children });
        let copied = Box::new(CopiedNode { descriptor: (*node).clone(), outcome, children });
        Ok(Done::Node { key: NodeKey::of(&node), copied, is_reported: true })
    }
}

/// Bytes that do not match their descriptor are an error of the source.
fn side_of_push(error: Error) -> Error {
    match error.kind() {
        ErrorKind::DigestMismatch | ErrorKind::SizeMismatch => error.on(Side::Source),
        // `on` does not change a side that is already set, so a read error keeps the side of the source.
        _ => error.on(Side::Destination),
    }
}

/// The result of a step.
enum Done {
    /// The target has the node.
    Node {
        key: NodeKey,
        copied: Box<CopiedNode>,
        /// True if the observer received the `Finished` event of the node.
        is_reported: bool,
    },
    /// A large leaf, which is pushed in its own queue.
    Large(Content),
    /// The manifest was read.
    Opened { content: Content, manifest: Manifest },
}
