//! The content that running requests rely on, which garbage collection must keep.

use std::sync::{Arc, Weak};

use oras_spec::Digest;
use parking_lot::Mutex;

/// The digests that running requests rely on, in any repository. [`Stores::maintain`](crate::Stores::maintain) must
/// keep their content. Clones share the list.
#[derive(Clone, Debug, Default)]
pub struct DigestsInUse(Arc<Mutex<Vec<Weak<[Digest]>>>>);

impl DigestsInUse {
    /// Returns true if a request relies on the content with that digest.
    pub fn contains(&self, digest: &Digest) -> bool {
        let mut held = self.0.lock();
        held.retain(|digests| digests.strong_count() > 0);
        held.iter().filter_map(Weak::upgrade).any(|digests| digests.contains(digest))
    }

    /// Protects digests from garbage collection until the returned list is dropped.
    #[must_use]
    pub(crate) fn hold(&self, digests: impl IntoIterator<Item = Digest>) -> Arc<[Digest]> {
        let digests: Arc<[_]> = digests.into_iter().collect();
        let mut held = self.0.lock();
        held.retain(|digests| digests.strong_count() > 0);
        held.push(Arc::downgrade(&digests));
        digests
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_held_twice_is_released_twice() {
        let in_use = DigestsInUse::default();
        let [a, b] = ["a", "b"].map(|text| Digest::sha256(text.as_bytes()));
        let one = in_use.hold([a.clone(), a.clone()]);
        let other = in_use.hold([a.clone(), b.clone()]);
        drop(one);
        assert!(in_use.contains(&a) && in_use.contains(&b));
        drop(other);
        assert!(!in_use.contains(&a) && !in_use.contains(&b) && in_use.0.lock().is_empty());
    }
}
