//! Plans a garbage collection: finds what the index of a layout reaches.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use oras_fs::failed_to;
use oras_spec::{Descriptor, Digest, Manifest, MediaKind};
use oras_store::{Error, ErrorKind, Result};

use super::blob_removal::is_in_use;
use super::garbage_options::GarbageOptions;
use super::quarantine::QuarantinedBlob;
use crate::blob::Blob;
use crate::disk::blobs;
use crate::index::Index;
use crate::size_limits::MAX_STORED_MANIFEST;

/// What stays in the layout, and what is removed from its index.
pub(super) struct CollectionPlan<'a> {
    root: &'a Path,
    /// Manifests in the quarantine are read, too: the index may reach one, and only through it what it lists.
    pub(super) quarantined: &'a HashMap<Digest, QuarantinedBlob>,
    pub(super) reached: HashSet<Digest>,
    /// Entries that are removed from the index.
    pub(super) unlisted: HashSet<Digest>,
}

impl<'a> CollectionPlan<'a> {
    pub(super) fn new(root: &'a Path, quarantined: &'a HashMap<Digest, QuarantinedBlob>) -> Self {
        Self { root, quarantined, reached: HashSet::new(), unlisted: HashSet::new() }
    }

    /// Adds what the index reaches. If a newer index is added later, content that only the older index reaches stays
    /// until the next collection.
    pub(super) fn extend(&mut self, index: &Index, options: &GarbageOptions) -> Result<()> {
        if !options.untagged {
            return self.reach(index.descriptors().collect());
        }
        self.reach(index.tagged_nodes().collect())?;
        let tagged = index.tagged_digests();
        let mut untagged = Vec::new();
        for node in index.descriptors().filter(|node| !tagged.contains(&node.digest)) {
            let path = blobs::path(self.root, &node.digest);
            // A manifest loses its entry before it is moved to the quarantine, so another program has listed it since.
            let is_listed_again = self.quarantined.contains_key(&node.digest);
            if is_listed_again || is_in_use(&path, &node.digest, options.delay, &*options.is_needed) {
                self.reach(vec![node])?;
            } else {
                let manifest =
                    Manifest::parse(&node.media_type, self.read(&node)?.unwrap_or_default().into());
                let subject = manifest.ok().and_then(|manifest| Some(manifest.subject()?.digest.clone()));
                untagged.push((node, subject));
            }
        }
        // A referrer stays as long as its subject does. It can have referrers itself, so this repeats until nothing
        // is added.
        loop {
            let (stay, rest) = untagged.into_iter().partition::<Vec<_>, _>(|(node, subject)| {
                self.reached.contains(&node.digest)
                    || subject.as_ref().is_some_and(|subject| self.reached.contains(subject))
            });
            untagged = rest;
            if stay.is_empty() {
                break;
            }
            self.reach(stay.into_iter().map(|(node, _)| node).collect())?;
        }
        self.unlisted = untagged.into_iter().map(|(node, _)| node.digest).collect();
        Ok(())
    }

    /// Adds entries of the index and everything below them.
    fn reach(&mut self, nodes: Vec<Descriptor>) -> Result<()> {
        let mut next: Vec<_> = nodes.into_iter().map(|node| (node, true)).collect();
        while let Some((node, is_listed)) = next.pop() {
            if !self.reached.insert(node.digest.clone()) {
                continue;
            }
            let is_manifest = node.media_type.is_manifest();
            if !is_manifest && !is_listed {
                continue;
            }
            let Some(bytes) = self.read(&node)? else { continue };
            if !is_manifest {
                // An entry of an unknown media type may be a manifest: every digest in its text stays.
                self.reached.extend(digests_in(&bytes));
                continue;
            }
            let manifest = Manifest::parse(&node.media_type, bytes.into())
                .map_err(|error| unreadable(&node.digest).with_source(error))?;
            let lists = node.media_type.kind() == MediaKind::Index;
            next.extend(manifest.children().into_iter().map(|child| (child, lists)));
        }
        Ok(())
    }

    /// Reads the blob of a node. Returns `None` if it is missing, because layouts may be sparse, or if it has an unknown
    /// media type and is too large for a manifest.
    fn read(&self, node: &Descriptor) -> Result<Option<Vec<u8>>> {
        let blob = match self.open(node) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            blob => blob.map_err(|error| unreadable(&node.digest).with_source(error))?,
        };
        if blob.size > MAX_STORED_MANIFEST && !node.media_type.is_manifest() {
            return Ok(None);
        }
        let bytes = if blob.size > MAX_STORED_MANIFEST { None } else { blob.bytes(blob.size)? };
        bytes.map(|bytes| Some(bytes.into())).ok_or_else(|| unreadable(&node.digest))
    }

    fn open(&self, node: &Descriptor) -> Result<Blob> {
        let opened = blobs::open(self.root, &node.digest);
        let quarantined = match (&opened, self.quarantined.get(&node.digest)) {
            (Err(error), Some(blob)) if error.kind() == ErrorKind::NotFound => blob,
            _ => return opened,
        };
        let (file, size) =
            oras_fs::open_regular(&quarantined.path).map_err(failed_to("open", &quarantined.path))?;
        Ok(Blob { file: file.into(), start: 0, size })
    }
}

fn unreadable(digest: &Digest) -> Error {
    let message = format!("nothing was removed: what the manifest {digest} needs can't be told");
    Error::new(ErrorKind::InvalidContent, message)
}

/// Returns everything in a text that looks like a digest.
fn digests_in(bytes: &[u8]) -> impl Iterator<Item = Digest> {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b":+._-=".contains(byte);
    bytes.split(move |byte| !is_part(byte)).filter_map(|word| std::str::from_utf8(word).ok()?.parse().ok())
}
