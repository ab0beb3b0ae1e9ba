//! The keys under which the lookup file finds the entries of a tag or a digest.

use oras_spec::Digest;
use serde::{Deserialize, Serialize};

use crate::index::{IndexEntry, tag_in};

/// A hash of a tag, of the tag in a full reference, or of a digest. It is never 0. Different names may have the same
/// key, so the entry that a key leads to is compared with the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct LookupKey(pub(super) u64);

impl LookupKey {
    pub(super) fn of_tag(tag: &str) -> Self {
        Self::hash('t', tag)
    }

    /// The key of entries whose name is a full reference with this tag, such as `docker.io/library/tool:3.20`.
    pub(super) fn of_tag_in_reference(tag: &str) -> Self {
        Self::hash('r', tag)
    }

    pub(super) fn of_digest(digest: &Digest) -> Self {
        Self::hash('d', &digest.to_string())
    }

    /// SHA-256, because the standard library may change its hash function, and other users choose the tags.
    fn hash(kind: char, name: &str) -> Self {
        let digest = Digest::sha256(format!("{kind}{name}").as_bytes());
        let hex = digest.encoded();
        Self(u64::from_str_radix(hex.get(..16).unwrap_or_default(), 16).unwrap_or_default().max(1))
    }

    /// Returns the keys of the name of an entry.
    pub(super) fn of_name(entry: &IndexEntry) -> impl Iterator<Item = Self> {
        let tag = entry.tag();
        let inner = tag.and_then(|name| tag_in(name, &entry.digest)).map(Self::of_tag_in_reference);
        tag.map(Self::of_tag).into_iter().chain(inner)
    }
}
