//! Referrers that wait to be entered into an index: whoever has the turn enters those of all who wait. And those that
//! were entered, and are looked for once more when all is done.

use std::collections::HashMap;
use std::sync::Arc;

use oras_spec::{Descriptor, Digest};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// A referrer that is to be entered.
#[derive(Debug)]
pub(crate) struct Addition {
    pub(crate) referrer: Descriptor,
    done: Notify,
}

impl Addition {
    /// Returns when another writer has entered it; never if none does.
    pub(crate) async fn done_by_another(&self) {
        self.done.notified().await;
    }

    /// Tells the one that waits.
    pub(crate) fn tell(&self) {
        self.done.notify_one();
    }
}

/// A subject, and its referrers that were entered.
pub(crate) type Entered = (Descriptor, Vec<Descriptor>);

#[derive(Debug, Default)]
pub(crate) struct Additions {
    /// By the tag of the index.
    waiting: Mutex<HashMap<String, Vec<Arc<Addition>>>>,
    /// By subject.
    entered: Mutex<HashMap<Digest, Entered>>,
}

impl Additions {
    /// Lets `referrer` wait for whoever writes the index next.
    pub(crate) fn wait(&self, tag: &str, referrer: &Descriptor) -> Arc<Addition> {
        let addition = Arc::new(Addition { referrer: referrer.clone(), done: Notify::new() });
        let mut waiting = self.waiting.lock();
        waiting.entry(tag.to_owned()).or_default().push(Arc::clone(&addition));
        addition
    }

    /// All that wait, and `own`, which may have been taken by a writer that failed.
    pub(crate) fn take(&self, tag: &str, own: &Arc<Addition>) -> Vec<Arc<Addition>> {
        let mut waiting = self.waiting.lock();
        let mut taken = waiting.remove(tag).unwrap_or_default();
        if !taken.iter().any(|addition| Arc::ptr_eq(addition, own)) {
            taken.push(Arc::clone(own));
        }
        taken
    }

    /// Remembers what is still to be looked for.
    pub(crate) fn remember(&self, subject: &Descriptor, referrers: impl IntoIterator<Item = Descriptor>) {
        let mut entered = self.entered.lock();
        let (_, known) =
            entered.entry(subject.digest.clone()).or_insert_with(|| (subject.clone(), Vec::new()));
        known.extend(referrers);
    }

    /// Hands over what is still to be looked for.
    pub(crate) fn take_entered(&self) -> Vec<Entered> {
        let mut entered = self.entered.lock();
        entered.drain().map(|(_, entered)| entered).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[test]
    fn one_writer_takes_all_that_wait_and_never_forgets_its_own() {
        let additions = Additions::default();
        let [one, two] = [b"1", b"2"].map(|bytes| Descriptor::of("a/b".into(), bytes));
        let (first, second) = (additions.wait("t", &one), additions.wait("t", &two));
        let other = additions.wait("u", &one);
        let taken = additions.take("t", &second);
        assert_eq!(taken.len(), 2);
        assert!(second.done_by_another().now_or_never().is_none());
        taken.iter().for_each(|addition| addition.tell());
        assert!(first.done_by_another().now_or_never().is_some());
        // The writer failed after it took them: whoever comes next still has its own.
        assert_eq!(additions.take("t", &first).len(), 1);
        assert_eq!(additions.take("u", &other).len(), 1);
    }
}
