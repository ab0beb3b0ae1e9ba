//! Referrers that wait to be added to an index. One writer adds all waiting referrers, so that many concurrent pushes
//! cost few writes.

use std::collections::HashMap;
use std::sync::Arc;

use oras_spec::{Descriptor, Digest};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// A referrer that waits to be added to an index.
#[derive(Debug)]
pub(crate) struct PendingReferrer {
    pub(crate) referrer: Descriptor,
    done: Notify,
}

impl PendingReferrer {
    /// Waits until another writer has added this referrer. If none does, the future never completes.
    pub(crate) async fn added_by_another(&self) {
        self.done.notified().await;
    }

    /// Wakes the task that waits for this referrer.
    pub(crate) fn notify(&self) {
        // `notify_one` stores the wake-up if the task does not wait yet. `notify_waiters` would lose it.
        self.done.notify_one();
    }
}

/// A subject and its added referrers.
pub(crate) type SubjectReferrers = (Descriptor, Vec<Descriptor>);

#[derive(Debug, Default)]
pub(crate) struct PendingReferrers {
    /// The waiting referrers, by the tag of their index.
    waiting: Mutex<HashMap<String, Vec<Arc<PendingReferrer>>>>,
    /// The added referrers that are still to be verified, by subject.
    deferred: Mutex<HashMap<Digest, SubjectReferrers>>,
}

impl PendingReferrers {
    /// Queues `referrer` for the next writer of the index.
    pub(crate) fn queue(&self, tag: &str, referrer: &Descriptor) -> Arc<PendingReferrer> {
        let addition = Arc::new(PendingReferrer { referrer: referrer.clone(), done: Notify::new() });
        let mut waiting = self.waiting.lock();
        waiting.entry(tag.to_owned()).or_default().push(Arc::clone(&addition));
        addition
    }

    /// Takes all waiting referrers, and also `own` if another writer has already taken it.
    pub(crate) fn take(&self, tag: &str, own: &Arc<PendingReferrer>) -> Vec<Arc<PendingReferrer>> {
        let mut waiting = self.waiting.lock();
        let mut taken = waiting.remove(tag).unwrap_or_default();
        // A writer that failed after taking this entry has not added it.
        if !taken.iter().any(|addition| Arc::ptr_eq(addition, own)) {
            taken.push(Arc::clone(own));
        }
        taken
    }

    /// Queues referrers for the deferred check.
    pub(crate) fn defer_check(&self, subject: &Descriptor, referrers: impl IntoIterator<Item = Descriptor>) {
        let mut deferred = self.deferred.lock();
        let (_, known) =
            deferred.entry(subject.digest.clone()).or_insert_with(|| (subject.clone(), Vec::new()));
        known.extend(referrers);
    }

    /// Takes the referrers of the deferred check.
    pub(crate) fn take_deferred(&self) -> Vec<SubjectReferrers> {
        let mut deferred = self.deferred.lock();
        deferred.drain().map(|(_, deferred)| deferred).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[test]
    fn writer_takes_all_waiting_referrers_and_its_own() {
        let additions = PendingReferrers::default();
        let [one, two] = [b"1", b"2"].map(|bytes| Descriptor::of(oras_spec::MediaType::new("a/b"), bytes));
        let (first, second) = (additions.queue("t", &one), additions.queue("t", &two));
        let other = additions.queue("u", &one);
        let taken = additions.take("t", &second);
        assert_eq!(taken.len(), 2);
        assert!(second.added_by_another().now_or_never().is_none());
        taken.iter().for_each(|addition| addition.notify());
        assert!(first.added_by_another().now_or_never().is_some());
        // After a failed writer took the queue, the next one still has its own entry.
        assert_eq!(additions.take("t", &first).len(), 1);
        assert_eq!(additions.take("u", &other).len(), 1);
    }
}
