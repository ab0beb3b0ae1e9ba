//! Referrers by the tag schema: updates the index under the tag of a subject's digest (distribution-spec, "Referrers
//! Tag Schema").
//!
//! Registries can't add an entry atomically: the index is read, changed and written, and the last writer wins.
//! Writers on one machine are serialized by a lock file. Against other machines, each entry is verified after the
//! write, and written again if it was lost.

use std::time::Duration;

use bytes::Bytes;
use futures::future::{Either, select};
use futures::stream::{self, StreamExt, TryStreamExt};
use oras_spec::{Descriptor, Digest, MediaType, Reference};
use oras_store::{Error, ErrorKind, Result, check_written_size};

use crate::http::paging::MAX_PAGE;
use crate::http::retry::random;
use crate::repository::referrers::tag_index_document::{ReferrersIndex, referrers_in, tag_of};
use crate::repository::referrers::update_lock::UpdateLock;
use crate::repository::repository::Repository;

/// The maximum number of reads of the index for one update. After that, the update fails.
const MAX_ROUNDS: u32 = 60;
/// The maximum delay before the index is read again, to verify an entry or after the first time that an entry was
/// lost. After the n-th loss, the maximum is n times as long.
const PAUSE: Duration = Duration::from_millis(60);

/// The maximum number of subjects whose referrers are verified concurrently.
const MAX_CONCURRENT_CHECKS: usize = 8;

/// When to verify that an entry remains, because other machines don't use the lock file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verify {
    Now,
    /// By [`Repository::verify_deferred_referrers`], for many entries at once, because verification takes time.
    Deferred,
    /// The entry was written before; only verify it.
    Recheck,
}

/// The content under the tag.
enum TagContent {
    Nothing,
    Index(Bytes),
    /// The subject itself. If the tag is missing, GitLab interprets its name as a digest.
    Subject,
    /// Content other than an index of referrers.
    Other(MediaType),
}

impl Repository {
    /// Returns the referrers in the index; none if the tag names something else.
    pub(crate) async fn tagged_referrers(&self, subject: &Descriptor) -> Result<Vec<Descriptor>> {
        let tag = self.reference_to(&tag_of(&subject.digest))?;
        let TagContent::Index(bytes) = self.read_tag(&tag, subject).await? else {
            return Ok(Vec::new());
        };
        let failed = |error: Error| {
            error.context(format!("failed to decode referrers index from referrers tag {tag}"))
        };
        referrers_in(&bytes).map_err(failed)
    }

    /// Adds `referrer` to the index and verifies that it remains. Waiting referrers of the same repository are added
    /// by the same write.
    pub(crate) async fn add_tagged_referrer(
        &self,
        subject: &Descriptor,
        referrer: &Descriptor,
        verify: Verify,
    ) -> Result<()> {
        let tag = tag_of(&subject.digest);
        let pending = self.pending_referrers().queue(&tag, referrer);
        // While this task waits for the lock, another writer may add this referrer with its own.
        let lock = std::pin::pin!(self.lock_index(subject));
        let _lock = match select(lock, std::pin::pin!(pending.added_by_another())).await {
            Either::Left((lock, _)) => lock?,
            Either::Right(_) => return Ok(()),
        };
        // Takes the referrers after locking, so that those queued while this task waited are part of the same write.
        let all = self.pending_referrers().take(&tag, &pending);
        let referrers: Vec<_> = all.iter().map(|pending| pending.referrer.clone()).collect();
        self.change_index(subject, &referrer.digest, verify, |index| index.add_all(&referrers)).await?;
        if verify == Verify::Deferred {
            self.pending_referrers().defer_check(subject, referrers);
        }
        // Notifies only after the write, because a woken task reports success. After an error, each waiting task
        // writes its own referrer.
        all.iter().for_each(|pending| pending.notify());
        Ok(())
    }

    /// Verifies the entries whose check was [deferred](Verify::Deferred).
    pub(crate) async fn verify_deferred_referrers(&self) -> Result<()> {
        let deferred = self.pending_referrers().take_deferred();
        let checks = deferred.into_iter().map(|(subject, referrers)| async move {
            let Some(first) = referrers.first() else { return Ok(()) };
            let _lock = self.lock_index(&subject).await?;
            let add = |index: &mut ReferrersIndex| index.add_all(&referrers);
            let checked = self.change_index(&subject, &first.digest, Verify::Recheck, add).await;
            // Queues the referrers again, so that a later `sync` repeats the check.
            if checked.is_err() {
                self.pending_referrers().defer_check(&subject, referrers);
            }
            checked
        });
        stream::iter(checks).buffer_unordered(MAX_CONCURRENT_CHECKS).try_collect().await
    }

    /// Removes `referrer` from the index and verifies that it remains absent.
    pub(crate) async fn remove_tagged_referrer(&self, subject: &Descriptor, referrer: &Digest) -> Result<()> {
        let _lock = self.lock_index(subject).await?;
        self.change_index(subject, referrer, Verify::Now, |index| index.remove(referrer)).await
    }

    /// Waits for the lock of the index.
    async fn lock_index(&self, subject: &Descriptor) -> Result<UpdateLock> {
        let tag = self.reference_to(&tag_of(&subject.digest))?;
        Ok(UpdateLock::acquire(&format!("{}/{tag}", self.endpoint().origin())).await)
    }

    /// Applies `change`, which returns true if it changed the index, until a read shows that nothing is left to
    /// change.
    async fn change_index(
        &self,
        subject: &Descriptor,
        referrer: &Digest,
        verify: Verify,
        change: impl Fn(&mut ReferrersIndex) -> bool,
    ) -> Result<()> {
        let tag = self.reference_to(&tag_of(&subject.digest))?;
        let (mut writes, mut previous, mut has_waited) = (u32::from(verify == Verify::Recheck), None, true);
        for _ in 0..MAX_ROUNDS {
            let (bytes, mut index) = self.read_index(&tag, subject, writes > 0).await?;
            if !change(&mut index) {
                // The change is present. But a writer that read the index earlier may still overwrite it, so wait
                // until two reads are equal.
                if writes == 0 || previous.as_ref() == Some(&bytes) {
                    return Ok(());
                }
                previous = Some(bytes);
                tokio::time::sleep(PAUSE.mul_f64(0.5 + random() / 2.0)).await;
                continue;
            }
            if !has_waited {
                // Another writer undid the change. The index is read again after the delay, to keep the time between
                // read and write short.
                tokio::time::sleep(PAUSE.mul_f64(f64::from(writes) * random())).await;
                has_waited = true;
                continue;
            }
            let bytes = index.to_bytes();
            check_written_size(
                &format!("the referrers index tagged by {tag}"),
                bytes.len(),
                self.index_limit(),
            )?;
            self.put_manifest(&tag, &MediaType::IMAGE_INDEX, bytes)
                .await
                .map_err(|error| error.context(format!("failed to push referrers index tagged by {tag}")))?;
            // A check needs at least two more reads, so for many pushes it is made once at the end.
            if verify == Verify::Deferred {
                return Ok(());
            }
            (writes, previous, has_waited) = (writes + 1, None, false);
        }
        let message = format!("other writers of {tag} keep undoing the entry of {referrer}");
        Err(Error::new(ErrorKind::Other, message))
    }

    /// Returns the size of the largest referrers index that is read.
    fn index_limit(&self) -> u64 {
        self.client().options().max_manifest_size.max(MAX_PAGE)
    }

    /// Returns the stored bytes and the index to change; a new index if there is none.
    async fn read_index(
        &self,
        tag: &Reference,
        subject: &Descriptor,
        was_written: bool,
    ) -> Result<(Bytes, ReferrersIndex)> {
        match self.read_tag(tag, subject).await? {
            // The client has just written an index under this tag, so the registry can't store one there.
            TagContent::Subject if was_written => {
                let message =
                    format!("the registry takes the referrers tag {tag} for the digest of the subject");
                Err(Error::new(ErrorKind::Unsupported, message))
            }
            TagContent::Nothing | TagContent::Subject => Ok((Bytes::new(), ReferrersIndex::default())),
            TagContent::Index(bytes) => Ok((bytes.clone(), ReferrersIndex::parse(&bytes)?)),
            // Overwriting would delete content that another program stored under this tag.
            TagContent::Other(media_type) => {
                let message = format!("the referrers tag {tag} names no index of referrers but {media_type}");
                Err(Error::new(ErrorKind::InvalidContent, message))
            }
        }
    }

    async fn read_tag(&self, tag: &Reference, subject: &Descriptor) -> Result<TagContent> {
        match self.get_manifest_within(tag, self.index_limit()).await {
            Ok((descriptor, _)) if descriptor.digest == subject.digest => Ok(TagContent::Subject),
            Ok((descriptor, bytes)) if descriptor.media_type == MediaType::IMAGE_INDEX => {
                Ok(TagContent::Index(bytes))
            }
            Ok((descriptor, _)) => Ok(TagContent::Other(descriptor.media_type)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(TagContent::Nothing),
            Err(error) => {
                Err(error.context(format!("failed to read referrers index from referrers tag {tag}")))
            }
        }
    }
}
