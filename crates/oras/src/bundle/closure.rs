//! Everything that manifests in a bundle reach.

use std::collections::HashMap;

use oras_copy::all_children;
use oras_layout::Archive;
use oras_spec::{Descriptor, Digest};
use oras_store::{ErrorKind, MAX_MANIFEST_SIZE, Result};

/// The content below some manifests, also content that the archive does not have.
#[derive(Debug, Default)]
pub(super) struct Closure {
    pub(super) nodes: HashMap<Digest, ClosureNode>,
    /// The subject of each manifest that has one.
    pub(super) subjects: HashMap<Digest, Digest>,
}

/// A blob or manifest of a closure.
#[derive(Debug)]
pub(super) struct ClosureNode {
    pub(super) descriptor: Descriptor,
    /// A manifest that lists it; `None` for a root.
    pub(super) parent: Option<Digest>,
}

impl Closure {
    /// Adds everything that `roots` reach. Damaged and missing manifests have no children here.
    ///
    /// # Errors
    /// `Io`.
    pub(super) async fn add(
        &mut self,
        archive: &Archive,
        roots: impl Iterator<Item = Descriptor>,
    ) -> Result<()> {
        let mut unvisited: Vec<_> = roots.map(|root| (root, None)).collect();
        while let Some((descriptor, parent)) = unvisited.pop() {
            let digest = descriptor.digest.clone();
            if self.nodes.contains_key(&digest) {
                continue;
            }
            if descriptor.media_type.is_manifest() {
                match archive.content(&descriptor).manifest(MAX_MANIFEST_SIZE).await {
                    Ok(manifest) => {
                        let children = all_children(&manifest).into_iter();
                        unvisited.extend(children.map(|child| (child, Some(digest.clone()))));
                        let subject = manifest.subject().map(|subject| subject.digest.clone());
                        self.subjects.extend(subject.map(|subject| (digest.clone(), subject)));
                    }
                    Err(error) if error.kind() == ErrorKind::Io => return Err(error),
                    // The caller finds missing and damaged content by itself.
                    Err(_) => {}
                }
            }
            self.nodes.insert(digest, ClosureNode { descriptor, parent });
        }
        Ok(())
    }
}
