//! The content that running requests rely on, which garbage collection must keep.

use std::collections::HashMap;
use std::sync::Arc;

use oras_spec::Digest;
use parking_lot::Mutex;

/// The digests that running requests rely on, in any repository. Clones share the set.
#[derive(Clone, Debug, Default)]
pub struct DigestsInUse(Arc<Mutex<HashMap<Digest, usize>>>);

impl DigestsInUse {
    /// Returns true if a request relies on the content with that digest.
    pub fn contains(&self, digest: &Digest) -> bool {
        self.0.lock().contains_key(digest)
    }

    /// Protects digests from garbage collection until the returned guard is dropped.
    pub(crate) fn hold(&self, digests: impl IntoIterator<Item = Digest>) -> DigestHold {
        let digests: Vec<_> = digests.into_iter().collect();
        let mut held = self.0.lock();
        for digest in &digests {
            // The map stores a count, because several requests may hold the same digest.
            *held.entry(digest.clone()).or_default() += 1;
        }
        drop(held);
        DigestHold { in_use: self.clone(), digests }
    }
}

/// The digests that one request holds.
pub(crate) struct DigestHold {
    in_use: DigestsInUse,
    digests: Vec<Digest>,
}

impl Drop for DigestHold {
    fn drop(&mut self) {
        let mut held = self.in_use.0.lock();
        for digest in &self.digests {
            if let Some(count) = held.get_mut(digest) {
                *count -= 1;
                if *count == 0 {
                    held.remove(digest);
                }
            }
        }
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
