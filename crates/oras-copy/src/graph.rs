//! The state of a copy: the known nodes, those that wait for children, and those that are ready. Plain data, no I/O.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};

use oras_spec::{Descriptor, Digest, MediaType};
use oras_store::{Content, Pushed};

use crate::step_limits::LARGE;

/// The next step for a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// Check whether the target has it. If not, push a small leaf, or open a manifest.
    Visit,
    /// Push a large leaf that the target lacks.
    Stream,
    /// Push a manifest: the target has all its children.
    Push,
}

/// The identity of a node. A manifest and a blob of the same bytes are two nodes, because registries store them apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct NodeKey {
    digest: Digest,
    is_manifest: bool,
}

impl NodeKey {
    pub(crate) fn of(node: &Descriptor) -> Self {
        Self { digest: node.digest.clone(), is_manifest: node.media_type.is_manifest() }
    }
}

/// A node with the bytes of a finished node under another media type, and the outcome of the finished node.
#[derive(Debug)]
pub(crate) struct Twin {
    pub(crate) node: Descriptor,
    pub(crate) outcome: Pushed,
}

/// A node of the graph.
struct Node {
    /// `None` while a step uses it, and after the node is done.
    content: Option<Content>,
    children: Vec<Descriptor>,
    parents: Vec<NodeKey>,
    waiting: usize,
    /// Bytes that are in memory since the node was opened.
    held: u64,
    done: bool,
    /// The outcome; `None` until the node is done, and if the node is not reported.
    outcome: Option<Pushed>,
    /// The media type of the content.
    media_type: MediaType,
    /// The same bytes under other media types, one node for each type.
    twins: Vec<Descriptor>,
}

impl Node {
    fn new(media_type: MediaType, content: Option<Content>) -> Self {
        let (children, parents, twins) = (Vec::new(), Vec::new(), Vec::new());
        Self {
            content,
            children,
            parents,
            waiting: 0,
            held: 0,
            done: false,
            outcome: None,
            media_type,
            twins,
        }
    }
}

/// All nodes of one copy, each [`NodeKey`] once.
#[derive(Default)]
pub(crate) struct Graph {
    nodes: HashMap<NodeKey, Node>,
    /// Manifests to visit. They are opened first, so that their children are known early.
    manifests: VecDeque<NodeKey>,
    /// Large leaves to send, largest first, then in the order they were found.
    streams: BinaryHeap<(u64, Reverse<usize>, NodeKey)>,
    /// All other steps, in order.
    ready: VecDeque<(NodeKey, Task)>,
    /// Twins of finished nodes that are still to be reported.
    twins: Vec<Twin>,
    /// Bytes of manifests that are opened and not yet pushed.
    held: u64,
    /// The number of large leaves that were queued.
    streamed: usize,
    /// True if large leaves keep the order of their manifest.
    in_order: bool,
}

/// The steps that may start now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// A step that is not a stream may start.
    pub(crate) step: bool,
    /// A large leaf may start.
    pub(crate) stream: bool,
    /// Nothing runs, so a step must start.
    pub(crate) idle: bool,
}

/// Opened manifests stay in memory until their children are done. Above this number of bytes no further manifest is
/// opened.
const MAX_HELD: u64 = 8 * 1024 * 1024;

impl Graph {
    /// Makes an empty graph. If `one_at_a_time`, nodes keep the order of their manifests, as in the Go tool.
    pub(crate) fn new(one_at_a_time: bool) -> Self {
        Self { in_order: one_at_a_time, ..Self::default() }
    }

    /// Adds a node to visit. Returns false if the graph has its bytes; a node of another media type becomes a twin.
    pub(crate) fn add(&mut self, content: Content) -> bool {
        let key = NodeKey::of(content.descriptor());
        if let Some(node) = self.nodes.get_mut(&key) {
            let twin = content.descriptor();
            let is_known = |other: &Descriptor| other.media_type == twin.media_type;
            if node.media_type != twin.media_type && !node.twins.iter().any(is_known) {
                node.twins.push(twin.clone());
                if let Some(outcome) = node.outcome {
                    self.twins.push(Twin { node: twin.clone(), outcome });
                }
            }
            return false;
        }
        if key.is_manifest {
            self.manifests.push_back(key.clone());
        } else {
            self.ready.push_back((key.clone(), Task::Visit));
        }
        let media_type = content.descriptor().media_type.clone();
        self.nodes.insert(key, Node::new(media_type, Some(content)));
        true
    }

    /// Adds a node that the target has and that was already reported.
    pub(crate) fn add_present(&mut self, present: &Descriptor) {
        let node = self.nodes.entry(NodeKey::of(present));
        let node = node.or_insert_with(|| Node::new(present.media_type.clone(), None));
        (node.done, node.outcome) = (true, Some(Pushed::Existed));
        if node.media_type != present.media_type {
            node.twins.push(present.clone());
        }
    }

    /// Takes the twins of finished nodes that are still to be reported.
    pub(crate) fn take_twins(&mut self) -> Vec<Twin> {
        std::mem::take(&mut self.twins)
    }

    /// Takes the next step that may start.
    pub(crate) fn next(&mut self, room: Room) -> Option<(NodeKey, Task)> {
        // Manifests come first, because only an opened manifest shows its children. Large leaves take the longest.
        if room.step
            && self.held < MAX_HELD
            && let Some(key) = self.manifests.pop_front()
        {
            return Some((key, Task::Visit));
        }
        if room.stream
            && let Some((_, _, key)) = self.streams.pop()
        {
            return Some((key, Task::Stream));
        }
        if room.step
            && let Some(next) = self.ready.pop_front()
        {
            return Some(next);
        }
        // The opened manifests wait for manifests below them, so one more is opened even above the limit.
        let key = if room.idle { self.manifests.pop_front() } else { None };
        key.map(|key| (key, Task::Visit))
    }

    /// Queues a large leaf that the target lacks.
    pub(crate) fn stream(&mut self, content: Content) {
        let (size, key) = (content.descriptor().size, NodeKey::of(content.descriptor()));
        if let Some(node) = self.nodes.get_mut(&key) {
            node.content = Some(content);
            self.streams.push((size, Reverse(self.streamed), key));
            self.streamed += 1;
        }
    }

    /// Takes the content of a node for a step, and its children if it was opened.
    pub(crate) fn take(&mut self, key: &NodeKey) -> Option<(Content, Vec<Descriptor>)> {
        let node = self.nodes.get_mut(key)?;
        Some((node.content.take()?, std::mem::take(&mut node.children)))
    }

    /// Stores the bytes and children of an opened node, which is ready to push when all children are done.
    ///
    /// A child cannot be an ancestor of its parent: a manifest cannot contain its own digest.
    pub(crate) fn open(&mut self, content: Content, children: Vec<(Descriptor, Content)>) {
        let parent = NodeKey::of(content.descriptor());
        // If the transfer of the largest leaf started last, it would run alone at the end.
        let mut order: Vec<_> = children.iter().collect();
        if !self.in_order {
            order.sort_by_key(|(child, _)| Reverse(if child.size > LARGE { child.size } else { 0 }));
        }
        for (_, child) in order {
            self.add(child.clone());
        }
        let mut waiting = 0;
        for (descriptor, _) in &children {
            if let Some(node) = self.nodes.get_mut(&NodeKey::of(descriptor)) {
                // A manifest waits only once for a child that it lists twice, for example under two titles. Comparing
                // with the last parent is enough, because this loop adds only one parent.
                if !node.done && node.parents.last() != Some(&parent) {
                    node.parents.push(parent.clone());
                    waiting += 1;
                }
            }
        }
        if let Some(node) = self.nodes.get_mut(&parent) {
            node.held = content.descriptor().size;
            self.held += node.held;
            node.content = Some(content);
            node.children = children.into_iter().map(|(descriptor, _)| descriptor).collect();
            node.waiting = waiting;
        }
        // The node has no children, or the target has all of them.
        if waiting == 0 {
            self.ready.push_back((parent, Task::Push));
        }
    }

    /// Marks a node as done and drops its bytes. Parents whose last child this was become ready. With an `outcome`, the
    /// twins of the node are reported.
    pub(crate) fn finish(&mut self, key: &NodeKey, outcome: Option<Pushed>) {
        let Some(node) = self.nodes.get_mut(key) else { return };
        (node.done, node.outcome) = (true, outcome);
        if let Some(outcome) = outcome {
            self.twins.extend(node.twins.iter().map(|twin| Twin { node: twin.clone(), outcome }));
        }
        // Releases the memory: nothing reads the bytes of a stored node again.
        node.content = None;
        node.children = Vec::new();
        self.held -= std::mem::take(&mut node.held);
        for parent in std::mem::take(&mut node.parents) {
            if let Some(node) = self.nodes.get_mut(&parent) {
                node.waiting -= 1;
                if node.waiting == 0 {
                    self.ready.push_back((parent, Task::Push));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(text: &'static str) -> Content {
        Content::of(MediaType::LAYER_TAR, text)
    }

    /// All steps may start.
    const ROOM: Room = Room { step: true, stream: true, idle: true };

    fn pairs(contents: &[Content]) -> Vec<(Descriptor, Content)> {
        contents.iter().map(|content| (content.descriptor().clone(), content.clone())).collect()
    }

    #[test]
    fn waits_once_for_a_child_that_is_listed_twice() {
        let (root, a, b) = (content("root"), content("a"), content("b"));
        let key = |content: &Content| NodeKey::of(content.descriptor());
        let mut graph = Graph::default();
        assert!(graph.add(root.clone()));
        assert!(!graph.add(root.clone()));
        assert_eq!(graph.next(ROOM), Some((key(&root), Task::Visit)));
        graph.open(root.clone(), pairs(&[a.clone(), a.clone(), b.clone()]));
        assert_eq!(graph.next(ROOM), Some((key(&a), Task::Visit)));
        assert_eq!(graph.next(ROOM), Some((key(&b), Task::Visit)));
        assert_eq!(graph.next(ROOM), None);
        graph.finish(&key(&a), None);
        assert_eq!(graph.next(ROOM), None);
        graph.finish(&key(&b), None);
        assert_eq!(graph.next(ROOM), Some((key(&root), Task::Push)));
    }

    #[test]
    fn queues_a_manifest_at_once_if_its_children_are_done() {
        let (root, other, a) = (content("root"), content("other"), content("a"));
        let key = |content: &Content| NodeKey::of(content.descriptor());
        let mut graph = Graph::default();
        graph.add(a.clone());
        graph.next(ROOM);
        graph.finish(&key(&a), None);
        for parent in [&root, &other] {
            graph.add(parent.clone());
            graph.next(ROOM);
            graph.open(parent.clone(), pairs(std::slice::from_ref(&a)));
            assert_eq!(graph.next(ROOM), Some((key(parent), Task::Push)));
        }
    }

    #[test]
    fn visits_manifests_first_and_streams_the_largest_leaf_first() {
        let leaf = |size| Content::of(MediaType::LAYER_TAR, vec![0; size]);
        let manifest = |text: &'static str| Content::of(MediaType::IMAGE_MANIFEST, text);
        let key = |content: &Content| NodeKey::of(content.descriptor());
        let (small, middle, large, first) = (leaf(1), leaf(2), leaf(3), manifest("first"));
        let mut graph = Graph::default();
        for content in [&small, &middle, &large, &first] {
            graph.add(content.clone());
        }
        assert_eq!(graph.next(ROOM), Some((key(&first), Task::Visit)));
        for content in [&small, &middle, &large] {
            assert_eq!(graph.next(ROOM), Some((key(content), Task::Visit)));
        }
        graph.stream(middle.clone());
        graph.stream(large.clone());
        assert_eq!(graph.next(Room { stream: false, ..ROOM }), None);
        assert_eq!(graph.next(Room { step: false, ..ROOM }), Some((key(&large), Task::Stream)));
        assert_eq!(graph.next(ROOM), Some((key(&middle), Task::Stream)));
    }

    #[test]
    fn limits_the_memory_of_opened_manifests() {
        let manifest = |byte, size| Content::of(MediaType::IMAGE_INDEX, vec![byte; size]);
        let key = |content: &Content| NodeKey::of(content.descriptor());
        let (huge, leaf, other) = (manifest(1, 8 * 1024 * 1024), content("leaf"), manifest(2, 1));
        let mut graph = Graph::default();
        graph.add(huge.clone());
        graph.next(ROOM);
        graph.open(huge.clone(), pairs(&[other.clone(), leaf.clone()]));
        let busy = Room { idle: false, ..ROOM };
        assert_eq!(graph.next(busy), Some((key(&leaf), Task::Visit)));
        assert_eq!(graph.next(busy), None);
        // If nothing else can start, `other` is opened despite the limit, because `huge` waits for it.
        assert_eq!(graph.next(ROOM), Some((key(&other), Task::Visit)));
        graph.finish(&key(&other), None);
        graph.finish(&key(&leaf), None);
        assert_eq!(graph.next(busy), Some((key(&huge), Task::Push)));
        graph.finish(&key(&huge), None);
        assert_eq!(graph.held, 0);
    }

    #[test]
    fn reports_each_media_type_of_the_same_bytes_once() {
        let of = |media_type| Content::of(media_type, "{}");
        let (config, layer) = (of(MediaType::IMAGE_CONFIG), of(MediaType::LAYER_TAR));
        let key = NodeKey::of(config.descriptor());
        let mut graph = Graph::default();
        assert!(graph.add(config.clone()));
        assert!(!graph.add(layer.clone()) && !graph.add(layer.clone()));
        assert!(graph.take_twins().is_empty());
        graph.finish(&key, Some(Pushed::Copied));
        let reported = |graph: &mut Graph| {
            let types = graph.take_twins().into_iter().map(|twin| (twin.node.media_type, twin.outcome));
            types.collect::<Vec<_>>()
        };
        assert_eq!(reported(&mut graph), [(MediaType::LAYER_TAR, Pushed::Copied)]);
        graph.add(of(MediaType::UNKNOWN_CONFIG));
        graph.add(of(MediaType::UNKNOWN_CONFIG));
        graph.add(layer);
        assert_eq!(reported(&mut graph), [(MediaType::UNKNOWN_CONFIG, Pushed::Copied)]);
        // A manifest of the same bytes is another node.
        assert!(graph.add(of(MediaType::IMAGE_INDEX)));
    }
}
