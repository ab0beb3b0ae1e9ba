//! Which manifest refers to which: read from the layout when it is first asked for.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;
use std::time::SystemTime;

use oras_spec::layout::INDEX_FILE;
use oras_spec::{Descriptor, Digest, Manifest, MediaType};
use oras_store::MAX_MANIFEST_SIZE;

use crate::index::Index;
use crate::place::{Blob, Place};

/// What identifies a version of `index.json`: every change replaces the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

impl Stamp {
    pub(crate) fn of(root: &Path) -> Self {
        let metadata = fs::metadata(root.join(INDEX_FILE)).ok();
        #[cfg(unix)]
        let inode = metadata.as_ref().map_or(0, std::os::unix::fs::MetadataExt::ino);
        #[cfg(not(unix))]
        let inode = 0;
        Self {
            modified: metadata.as_ref().and_then(|metadata| metadata.modified().ok()),
            length: metadata.as_ref().map_or(0, fs::Metadata::len),
            inode,
        }
    }
}

/// What `index.json` reaches, without the entries of `index.json` itself: small, for layouts have many manifests.
#[derive(Clone, Debug, Default)]
pub(crate) struct Graph {
    /// The manifests that others list.
    pub(crate) unlisted: HashMap<Digest, Node>,
    referrers: HashMap<Digest, Vec<(Digest, Node)>>,
}

/// The rest of a descriptor whose digest is known.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    media_type: MediaType,
    size: u64,
}

impl Node {
    fn new(descriptor: &Descriptor) -> Self {
        // One text for all of the usual type.
        let usual = MediaType::IMAGE_MANIFEST;
        let media_type = if descriptor.media_type == usual { usual } else { descriptor.media_type.clone() };
        Self { media_type, size: descriptor.size }
    }

    pub(crate) fn descriptor(&self, digest: Digest) -> Descriptor {
        Descriptor::new(self.media_type.clone(), digest, self.size)
    }
}

/// Finds a blob by its digest.
pub(crate) type Open<'a> = &'a dyn Fn(&Digest) -> oras_store::Result<Blob>;

impl Graph {
    /// What [`Graph::walk`] finds.
    pub(crate) fn build(place: &impl Place, index: &Index) -> Self {
        let mut graph = Self::default();
        Self::walk(&|digest| place.open(digest), index, |node, listed, manifest| {
            let Some(manifest) = manifest else { return };
            if !listed {
                graph.unlisted.insert(node.digest.clone(), Node::new(node));
            }
            if let Some(subject) = manifest.subject() {
                let referrer = (node.digest.clone(), Node::new(node));
                graph.referrers.entry(subject.digest.clone()).or_default().push(referrer);
            }
        });
        graph
    }

    /// The descriptors of the manifests whose subject has that digest, in the order of the index.
    pub(crate) fn referrers(&self, place: &impl Place, subject: &Digest) -> Vec<Descriptor> {
        let found = self.referrers.get(subject).map(Vec::as_slice).unwrap_or_default();
        let described = found.iter().filter_map(|(digest, node)| {
            let node = node.descriptor(digest.clone());
            Some(read(&|digest| place.open(digest), &node)?.referrer_descriptor(&node))
        });
        described.collect()
    }

    /// Reads every manifest that the index reaches, each once, and tells whether it came from the index itself; `None`
    /// for one that is missing (layouts may be sparse), not what it is said to be, or too large: it can't be a
    /// referrer anybody could use.
    pub(crate) fn walk(
        open: Open<'_>,
        index: &Index,
        mut visit: impl FnMut(&Descriptor, bool, Option<&Manifest>),
    ) {
        let mut seen = HashSet::new();
        for entry in index.descriptors() {
            let mut next = vec![(entry.plain(), true)];
            while let Some((node, listed)) = next.pop() {
                if !node.media_type.is_manifest() || !seen.insert(node.digest.clone()) {
                    continue;
                }
                let manifest = read(open, &node);
                visit(&node, listed, manifest.as_ref());
                let children = manifest.map(|manifest| manifest.children()).unwrap_or_default();
                next.extend(children.into_iter().rev().map(|child| (child.plain(), false)));
            }
        }
    }
}

fn read(open: Open<'_>, node: &Descriptor) -> Option<Manifest> {
    if node.size > MAX_MANIFEST_SIZE {
        return None;
    }
    let bytes = open(&node.digest).ok()?.bytes(node.size)?;
    if node.digest.verify(&bytes) != Ok(true) {
        return None;
    }
    Manifest::parse(&node.media_type, bytes).ok()
}
