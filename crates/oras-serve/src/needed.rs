//! What requests under way rely on: a store that collects garbage meanwhile must leave it.

use std::collections::HashMap;
use std::sync::Arc;

use oras_spec::Digest;
use parking_lot::{Mutex, MutexGuard};

/// Digests that requests hold, each as often as it is held.
#[derive(Clone, Debug, Default)]
pub struct Needed(Arc<Mutex<HashMap<Digest, usize>>>);

impl Needed {
    /// Whether a request relies on what has that digest, in whatever repository.
    pub fn contains(&self, digest: &Digest) -> bool {
        self.held().contains_key(digest)
    }

    /// Holds digests until what this gives is dropped.
    pub(crate) fn hold(&self, digests: impl IntoIterator<Item = Digest>) -> Held {
        let digests: Vec<_> = digests.into_iter().collect();
        let mut held = self.held();
        for digest in &digests {
            *held.entry(digest.clone()).or_default() += 1;
        }
        drop(held);
        Held { needed: self.clone(), digests }
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Digest, usize>> {
        self.0.lock()
    }
}

/// Digests that a request holds.
pub(crate) struct Held {
    needed: Needed,
    digests: Vec<Digest>,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut held = self.needed.held();
        for digest in &self.digests {
            if let Some(times) = held.get_mut(digest) {
                *times -= 1;
                if *times == 0 {
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
    fn what_is_held_twice_is_let_go_twice() {
        let needed = Needed::default();
        let [a, b] = ["a", "b"].map(|text| Digest::sha256(text.as_bytes()));
        let one = needed.hold([a.clone(), a.clone()]);
        let other = needed.hold([a.clone(), b.clone()]);
        drop(one);
        assert!(needed.contains(&a) && needed.contains(&b));
        drop(other);
        assert!(!needed.contains(&a) && !needed.contains(&b) && needed.held().is_empty());
    }
}
