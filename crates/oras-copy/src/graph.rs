//! The engine's books: which nodes are known, which wait for children, which are ready. Plain data, no I/O.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};

use oras_spec::{Descriptor, Digest};
use oras_store::Content;

use crate::limits::LARGE;

/// What is to be done with a node next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// Ask the target whether it is there; send a small leaf, open a manifest.
    Visit,
    /// Send a large leaf that is not there.
    Stream,
    /// All its children are there: push it.
    Push,
}

/// A node on its way.
struct Node {
    /// `None` while a step has it, and when the node is done.
    content: Option<Content>,
    children: Vec<Descriptor>,
    parents: Vec<Digest>,
    waiting: usize,
    /// Bytes that are in memory since the node was opened.
    held: u64,
    done: bool,
}

/// All nodes of one copy, each digest once.
#[derive(Default)]
pub(crate) struct Graph {
    nodes: HashMap<Digest, Node>,
    /// Manifests to visit: opened first, so that what is below them is known early.
    manifests: VecDeque<Digest>,
    /// Large leaves to send, largest first, then in the order they were found.
    streams: BinaryHeap<(u64, Reverse<usize>, Digest)>,
    /// Everything else, in order.
    ready: VecDeque<(Digest, Task)>,
    /// Bytes of manifests that were opened and are not pushed yet.
    held: u64,
    /// How many large leaves were queued.
    streamed: usize,
    /// Whether large leaves come in the order of the manifest, too.
    in_order: bool,
}

/// What may be taken up now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// Another step.
    pub(crate) step: bool,
    /// Another large leaf.
    pub(crate) stream: bool,
    /// Nothing runs: something must be taken up.
    pub(crate) idle: bool,
}

/// Opened manifests are held in memory until their children are done; above so many bytes others wait.
const MAX_HELD: u64 = 8 * 1024 * 1024;

impl Graph {
    /// No nodes yet. If nodes go one at a time, it is in the order of the manifests, as in the Go tool.
    pub(crate) fn new(one_at_a_time: bool) -> Self {
        Self { in_order: one_at_a_time, ..Self::default() }
    }

    /// Adds a node to visit; `false` when its digest is known already.
    pub(crate) fn add(&mut self, content: Content) -> bool {
        let digest = content.descriptor().digest.clone();
        if self.nodes.contains_key(&digest) {
            return false;
        }
        if content.descriptor().media_type.is_manifest() {
            self.manifests.push_back(digest.clone());
        } else {
            self.ready.push_back((digest.clone(), Task::Visit));
        }
        let (children, parents) = (Vec::new(), Vec::new());
        let node = Node { content: Some(content), children, parents, waiting: 0, held: 0, done: false };
        self.nodes.insert(digest, node);
        true
    }

    /// The next thing to do that there is room for.
    pub(crate) fn next(&mut self, room: Room) -> Option<(Digest, Task)> {
        if room.step
            && self.held < MAX_HELD
            && let Some(digest) = self.manifests.pop_front()
        {
            return Some((digest, Task::Visit));
        }
        if room.stream
            && let Some((_, _, digest)) = self.streams.pop()
        {
            return Some((digest, Task::Stream));
        }
        if room.step
            && let Some(next) = self.ready.pop_front()
        {
            return Some(next);
        }
        // Only deeper manifests can bring those that are held to their end.
        let digest = if room.idle { self.manifests.pop_front() } else { None };
        digest.map(|digest| (digest, Task::Visit))
    }

    /// Queues a large leaf that the target lacks.
    pub(crate) fn stream(&mut self, content: Content) {
        let node = content.descriptor();
        let (size, digest) = (node.size, node.digest.clone());
        if let Some(node) = self.nodes.get_mut(&digest) {
            node.content = Some(content);
            self.streams.push((size, Reverse(self.streamed), digest));
            self.streamed += 1;
        }
    }

    /// Takes what a step needs out of a node: its content, and its children if it was opened.
    pub(crate) fn take(&mut self, digest: &Digest) -> Option<(Content, Vec<Descriptor>)> {
        let node = self.nodes.get_mut(digest)?;
        Some((node.content.take()?, std::mem::take(&mut node.children)))
    }

    /// Gives an opened node its bytes and children; it becomes ready to push when all of them are done.
    ///
    /// Children that are ancestors of their parent cannot be: a digest cannot contain itself.
    pub(crate) fn open(&mut self, parent: &Digest, content: Content, children: Vec<(Descriptor, Content)>) {
        let mut order: Vec<_> = children.iter().collect();
        if !self.in_order {
            order.sort_by_key(|(child, _)| Reverse(if child.size > LARGE { child.size } else { 0 }));
        }
        for (_, child) in order {
            self.add(child.clone());
        }
        let mut waiting = 0;
        for (descriptor, _) in &children {
            if let Some(node) = self.nodes.get_mut(&descriptor.digest) {
                // The same child twice, or under two titles, is waited for once.
                if !node.done && node.parents.last() != Some(parent) {
                    node.parents.push(parent.clone());
                    waiting += 1;
                }
            }
        }
        if let Some(node) = self.nodes.get_mut(parent) {
            node.held = content.descriptor().size;
            self.held += node.held;
            node.content = Some(content);
            node.children = children.into_iter().map(|(descriptor, _)| descriptor).collect();
            node.waiting = waiting;
        }
        if waiting == 0 {
            self.ready.push_back((parent.clone(), Task::Push));
        }
    }

    /// Marks a node as done, readies the parents that waited for it last, and lets go of its bytes.
    pub(crate) fn finish(&mut self, digest: &Digest) {
        let Some(node) = self.nodes.get_mut(digest) else { return };
        node.done = true;
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
    use oras_spec::MediaType;

    fn content(text: &'static str) -> Content {
        Content::of(MediaType::LAYER_TAR, text)
    }

    /// Room for everything.
    const ROOM: Room = Room { step: true, stream: true, idle: true };

    fn pairs(contents: &[Content]) -> Vec<(Descriptor, Content)> {
        contents.iter().map(|content| (content.descriptor().clone(), content.clone())).collect()
    }

    #[test]
    fn parents_wait_for_each_child_once() {
        let (root, a, b) = (content("root"), content("a"), content("b"));
        let digest = |content: &Content| content.descriptor().digest.clone();
        let mut graph = Graph::default();
        assert!(graph.add(root.clone()));
        assert!(!graph.add(root.clone()));
        assert_eq!(graph.next(ROOM), Some((digest(&root), Task::Visit)));
        graph.open(&digest(&root), root.clone(), pairs(&[a.clone(), a.clone(), b.clone()]));
        assert_eq!(graph.next(ROOM), Some((digest(&a), Task::Visit)));
        assert_eq!(graph.next(ROOM), Some((digest(&b), Task::Visit)));
        assert_eq!(graph.next(ROOM), None);
        graph.finish(&digest(&a));
        assert_eq!(graph.next(ROOM), None);
        graph.finish(&digest(&b));
        assert_eq!(graph.next(ROOM), Some((digest(&root), Task::Push)));
    }

    #[test]
    fn a_manifest_whose_children_are_done_is_ready_at_once() {
        let (root, other, a) = (content("root"), content("other"), content("a"));
        let digest = |content: &Content| content.descriptor().digest.clone();
        let mut graph = Graph::default();
        graph.add(a.clone());
        graph.next(ROOM);
        graph.finish(&digest(&a));
        for parent in [&root, &other] {
            graph.add(parent.clone());
            graph.next(ROOM);
            graph.open(&digest(parent), parent.clone(), pairs(std::slice::from_ref(&a)));
            assert_eq!(graph.next(ROOM), Some((digest(parent), Task::Push)));
        }
    }

    #[test]
    fn manifests_first_then_the_largest() {
        let leaf = |size| Content::of(MediaType::LAYER_TAR, vec![0; size]);
        let manifest = |text: &'static str| Content::of(MediaType::IMAGE_MANIFEST, text);
        let digest = |content: &Content| content.descriptor().digest.clone();
        let (small, middle, large, first) = (leaf(1), leaf(2), leaf(3), manifest("first"));
        let mut graph = Graph::default();
        for content in [&small, &middle, &large, &first] {
            graph.add(content.clone());
        }
        assert_eq!(graph.next(ROOM), Some((digest(&first), Task::Visit)));
        for content in [&small, &middle, &large] {
            assert_eq!(graph.next(ROOM), Some((digest(content), Task::Visit)));
        }
        graph.stream(middle.clone());
        graph.stream(large.clone());
        assert_eq!(graph.next(Room { stream: false, ..ROOM }), None);
        assert_eq!(graph.next(Room { step: false, ..ROOM }), Some((digest(&large), Task::Stream)));
        assert_eq!(graph.next(ROOM), Some((digest(&middle), Task::Stream)));
    }

    #[test]
    fn opened_manifests_are_held_within_bounds() {
        let manifest = |byte, size| Content::of(MediaType::IMAGE_INDEX, vec![byte; size]);
        let digest = |content: &Content| content.descriptor().digest.clone();
        let (huge, leaf, other) = (manifest(1, 8 * 1024 * 1024), content("leaf"), manifest(2, 1));
        let mut graph = Graph::default();
        graph.add(huge.clone());
        graph.next(ROOM);
        graph.open(&digest(&huge), huge.clone(), pairs(&[other.clone(), leaf.clone()]));
        let busy = Room { idle: false, ..ROOM };
        assert_eq!(graph.next(busy), Some((digest(&leaf), Task::Visit)));
        assert_eq!(graph.next(busy), None);
        // With nothing else to do it is opened all the same: the one that is held waits for it.
        assert_eq!(graph.next(ROOM), Some((digest(&other), Task::Visit)));
        graph.finish(&digest(&other));
        graph.finish(&digest(&leaf));
        assert_eq!(graph.next(busy), Some((digest(&huge), Task::Push)));
        graph.finish(&digest(&huge));
        assert_eq!(graph.held, 0);
    }
}
