//! Which manifest refers to which: read from the layout when it is first asked for.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;
use std::time::SystemTime;

use oras_spec::layout::INDEX_FILE;
use oras_spec::{Descriptor, Digest, Manifest};
use oras_store::MAX_MANIFEST_SIZE;

use crate::index::Index;
use crate::place::Place;

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

impl Graph {
    /// Reads every manifest that the index reaches. A manifest that is missing (layouts may be sparse), not what it
    /// is said to be, or too large is left out: it can't be a referrer anybody could use.
    pub(crate) fn build(place: &impl Place, index: &Index) -> Self {
        let mut graph = Self::default();
        let mut seen = HashSet::new();
        let mut next: Vec<Descriptor> = index.descriptors().map(Descriptor::plain).collect();
        next.reverse();
        while let Some(node) = next.pop() {
            if !node.media_type.is_manifest() || !seen.insert(node.digest.clone()) {
                continue;
            }
            let Some(manifest) = read(place, &node) else { continue };
            graph.manifests.insert(node.digest.clone(), node.clone());
            if let Some(subject) = manifest.subject() {
                let referrer = manifest.referrer_descriptor(&node);
                graph.referrers.entry(subject.digest.clone()).or_default().push(referrer);
            }
            next.extend(manifest.children().into_iter().rev().map(|child| child.plain()));
        }
        graph
    }
}

fn read(place: &impl Place, node: &Descriptor) -> Option<Manifest> {
    if node.size > MAX_MANIFEST_SIZE {
        return None;
    }
    let bytes = place.open(&node.digest).ok()?.bytes(node.size)?;
    if node.digest.verify(&bytes) != Ok(true) {
        return None;
    }
    Manifest::parse(&node.media_type, bytes).ok()
}
