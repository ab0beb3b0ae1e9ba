//! The engine's books: which nodes are known, which wait for children, which are ready. Plain data, no I/O.

use std::collections::{HashMap, VecDeque};

use oras_spec::{Descriptor, Digest};
use oras_store::Content;

/// What is to be done with a node next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// Ask the target whether it is there; push a leaf, open a manifest.
    Visit,
    /// All its children are there: push it.
    Push,
}

/// A node on its way.
pub(crate) struct Node {
    pub(crate) content: Content,
    pub(crate) children: Vec<Descriptor>,
    parents: Vec<Digest>,
    waiting: usize,
    done: bool,
}

/// All nodes of one copy, each digest once.
#[derive(Default)]
pub(crate) struct Graph {
    nodes: HashMap<Digest, Node>,
    ready: VecDeque<(Digest, Task)>,
}

impl Graph {
    /// Adds a node to visit; `false` when its digest is known already.
    pub(crate) fn add(&mut self, content: Content) -> bool {
        let digest = content.descriptor().digest.clone();
        if self.nodes.contains_key(&digest) {
            return false;
        }
        self.ready.push_back((digest.clone(), Task::Visit));
        let node = Node { content, children: Vec::new(), parents: Vec::new(), waiting: 0, done: false };
        self.nodes.insert(digest, node);
        true
    }

    /// The next thing to do.
    pub(crate) fn next(&mut self) -> Option<(Digest, Task)> {
        self.ready.pop_front()
    }

    /// The node of a digest that was added.
    pub(crate) fn node(&self, digest: &Digest) -> Option<&Node> {
        self.nodes.get(digest)
    }

    /// Gives an opened node its bytes and children; it becomes ready to push when all of them are done.
    ///
    /// Children that are ancestors of their parent cannot be: a digest cannot contain itself.
    pub(crate) fn open(&mut self, parent: &Digest, content: Content, children: Vec<(Descriptor, Content)>) {
        let mut waiting = 0;
        for (descriptor, child) in &children {
            self.add(child.clone());
            if let Some(node) = self.nodes.get_mut(&descriptor.digest) {
                // The same child twice, or under two titles, is waited for once.
                if !node.done && node.parents.last() != Some(parent) {
                    node.parents.push(parent.clone());
                    waiting += 1;
                }
            }
        }
        if let Some(node) = self.nodes.get_mut(parent) {
            node.content = content;
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
        node.children = Vec::new();
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
        assert_eq!(graph.next(), Some((digest(&root), Task::Visit)));
        graph.open(&digest(&root), root.clone(), pairs(&[a.clone(), a.clone(), b.clone()]));
        assert_eq!(graph.next(), Some((digest(&a), Task::Visit)));
        assert_eq!(graph.next(), Some((digest(&b), Task::Visit)));
        assert_eq!(graph.next(), None);
        graph.finish(&digest(&a));
        assert_eq!(graph.next(), None);
        graph.finish(&digest(&b));
        assert_eq!(graph.next(), Some((digest(&root), Task::Push)));
    }

    #[test]
    fn a_manifest_whose_children_are_done_is_ready_at_once() {
        let (root, other, a) = (content("root"), content("other"), content("a"));
        let digest = |content: &Content| content.descriptor().digest.clone();
        let mut graph = Graph::default();
        graph.add(a.clone());
        graph.next();
        graph.finish(&digest(&a));
        for parent in [&root, &other] {
            graph.add(parent.clone());
            graph.next();
            graph.open(&digest(parent), parent.clone(), pairs(std::slice::from_ref(&a)));
            assert_eq!(graph.next(), Some((digest(parent), Task::Push)));
        }
    }
}
