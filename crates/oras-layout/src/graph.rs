//! Which manifest refers to which: read from the layout when it is first asked for.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;
use std::time::SystemTime;

use oras_spec::layout::INDEX_FILE;
use oras_spec::{Descriptor, Digest, Manifest};
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

/// The manifests that `index.json` reaches.
#[derive(Clone, Debug, Default)]
pub(crate) struct Graph {
    pub(crate) manifests: HashMap<Digest, Descriptor>,
    pub(crate) referrers: HashMap<Digest, Vec<Descriptor>>,
}

/// Finds a blob by its digest.
pub(crate) type Open<'a> = &'a dyn Fn(&Digest) -> oras_store::Result<Blob>;

impl Graph {
    /// What [`Graph::walk`] finds.
    pub(crate) fn build(place: &impl Place, index: &Index) -> Self {
        let mut graph = Self::default();
        Self::walk(&|digest| place.open(digest), index, |node, manifest| {
            let Some(manifest) = manifest else { return };
            graph.manifests.insert(node.digest.clone(), node.clone());
            if let Some(subject) = manifest.subject() {
                let referrer = manifest.referrer_descriptor(node);
                graph.referrers.entry(subject.digest.clone()).or_default().push(referrer);
            }
        });
        graph
    }

    /// Reads every manifest that the index reaches, each once; `None` for one that is missing (layouts may be sparse),
    /// not what it is said to be, or too large: it can't be a referrer anybody could use.
    pub(crate) fn walk(open: Open<'_>, index: &Index, mut visit: impl FnMut(&Descriptor, Option<&Manifest>)) {
        let mut seen = HashSet::new();
        let mut next: Vec<Descriptor> = index.descriptors().map(Descriptor::plain).collect();
        next.reverse();
        while let Some(node) = next.pop() {
            if !node.media_type.is_manifest() || !seen.insert(node.digest.clone()) {
                continue;
            }
            let manifest = read(open, &node);
            visit(&node, manifest.as_ref());
            let children = manifest.map(|manifest| manifest.children()).unwrap_or_default();
            next.extend(children.into_iter().rev().map(|child| child.plain()));
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
