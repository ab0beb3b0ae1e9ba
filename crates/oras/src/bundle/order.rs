//! The order of the content in a bundle: children before their parents, referrers after their subjects.

use std::collections::{HashMap, HashSet};

use oras_spec::{Descriptor, Digest};
use oras_store::{Error, ErrorKind, Result};

use super::repository_walk::RepositoryWalk;

/// A blob or manifest of the bundle, at its place.
#[derive(Debug)]
pub(super) struct PlannedContent {
    /// The number of the repository from which it is read.
    pub(super) repository: usize,
    pub(super) descriptor: Descriptor,
    /// The manifest that lists it; `None` for a manifest.
    pub(super) parent: Option<Digest>,
}

/// The content of all repositories in order, each digest once.
///
/// The order depends only on the content, so that equal content gives an equal bundle, and an interrupted run can be
/// resumed.
#[derive(Debug, Default)]
pub(super) struct Order {
    pub(super) contents: Vec<PlannedContent>,
    sizes: HashMap<Digest, u64>,
}

/// A step of the search in a graph. An explicit stack is used, because a hostile graph may be deep.
enum Step<'a> {
    Enter(&'a Digest),
    Leave(&'a Digest),
}

/// The search in one repository.
struct Search<'a> {
    order: &'a mut Order,
    number: usize,
    walk: &'a RepositoryWalk,
    omit: &'a HashSet<Digest>,
    omitted: Vec<Descriptor>,
    /// The content of this repository that was counted or omitted.
    counted: HashSet<Digest>,
    manifests: u64,
    blobs: u64,
    size: u64,
}

impl Order {
    /// Appends the content of a repository that no earlier one has, and sets the counts of the repository.
    ///
    /// # Errors
    /// `InvalidContent` if two descriptors of one digest have different sizes.
    pub(super) fn append(
        &mut self,
        number: usize,
        walk: &mut RepositoryWalk,
        omit: &HashSet<Digest>,
    ) -> Result<()> {
        let mut search = Search {
            order: self,
            number,
            walk,
            omit,
            omitted: Vec::new(),
            counted: HashSet::new(),
            manifests: 0,
            blobs: 0,
            size: 0,
        };
        search.run()?;
        let Search { mut omitted, manifests, blobs, size, .. } = search;
        omitted.sort_by_cached_key(|node| node.digest.to_string());
        let listed = &mut walk.listed;
        (listed.omitted, listed.manifests, listed.blobs, listed.size) = (omitted, manifests, blobs, size);
        Ok(())
    }

    /// Returns the sum of the sizes in bytes.
    pub(super) fn size(&self) -> u64 {
        self.contents.iter().map(|content| content.descriptor.size).sum()
    }
}

impl<'a> Search<'a> {
    fn run(&mut self) -> Result<()> {
        let walk = self.walk;
        let roots = walk.listed.tags.values().chain(&walk.listed.untagged);
        let mut entered: HashSet<&Digest> = HashSet::new();
        for root in roots {
            let mut stack = vec![Step::Enter(&root.digest)];
            while let Some(step) = stack.pop() {
                match step {
                    Step::Enter(digest) => {
                        if !entered.insert(digest) {
                            continue;
                        }
                        // Missing manifests have no node.
                        let Some(node) = walk.nodes.get(digest) else { continue };
                        stack.push(Step::Leave(digest));
                        let manifests = node.children.iter().filter(|child| child.media_type.is_manifest());
                        stack.extend(manifests.rev().map(|child| Step::Enter(&child.digest)));
                    }
                    Step::Leave(digest) => {
                        self.emit(digest)?;
                        let followers = walk.nodes.get(digest).map(|node| &node.followers);
                        let followers = followers.into_iter().flatten().rev();
                        stack.extend(followers.map(Step::Enter));
                    }
                }
            }
        }
        Ok(())
    }

    /// Emits the blobs of a manifest, and the manifest.
    fn emit(&mut self, digest: &'a Digest) -> Result<()> {
        let Some(node) = self.walk.nodes.get(digest) else { return Ok(()) };
        for blob in node.children.iter().filter(|child| !child.media_type.is_manifest()) {
            self.emit_one(blob, Some(digest))?;
        }
        self.emit_one(&node.descriptor, None)
    }

    fn omit_node(&mut self, node: &Descriptor) {
        if self.counted.insert(node.digest.clone()) {
            self.omitted.push(node.plain());
        }
    }

    fn emit_one(&mut self, node: &Descriptor, parent: Option<&Digest>) -> Result<()> {
        if self.omit.contains(&node.digest) {
            self.omit_node(node);
            return Ok(());
        }
        let known = *self.order.sizes.get(&node.digest).unwrap_or(&node.size);
        if known != node.size {
            let message = format!("{} is listed with the sizes {known} and {}", node.digest, node.size);
            return Err(Error::new(ErrorKind::InvalidContent, message));
        }
        if self.counted.insert(node.digest.clone()) {
            *(if parent.is_some() { &mut self.blobs } else { &mut self.manifests }) += 1;
            self.size += node.size;
        }
        if self.order.sizes.insert(node.digest.clone(), node.size).is_none() {
            let (repository, parent) = (self.number, parent.cloned());
            let mut descriptor = node.plain();
            descriptor.data.clone_from(&node.data);
            self.order.contents.push(PlannedContent { repository, descriptor, parent });
        }
        Ok(())
    }
}
