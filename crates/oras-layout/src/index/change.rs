//! The changes that can be made to an index.

use std::collections::HashSet;

use oras_spec::{Descriptor, Digest};

/// A change to `index.json`.
#[derive(Clone, Debug)]
pub(crate) enum IndexChange {
    /// Adds an untagged entry, unless the digest already has an entry.
    List(Descriptor),
    /// Moves a tag to a manifest.
    Tag(Descriptor, String),
    /// Removes a tag. A manifest that loses its last tag keeps an untagged entry.
    Untag(String),
    /// Removes all entries of a digest.
    Remove(Digest),
    /// Removes the untagged entries of these digests.
    Unlist(HashSet<Digest>),
    /// Removes all entries of a digest and of everything that only this digest needs, see
    /// [`crate::maintenance::prune`].
    Prune(Digest),
}
