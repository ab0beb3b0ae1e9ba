//! Referrers by the tag schema: updates the index under the tag of a subject's digest (distribution-spec, "Referrers
//! Tag Schema").
//!
//! Registries can't add an entry atomically: the index is read, changed and written, and the last writer wins.
//! Writers on one machine are serialized by a lock file. Against other machines, each entry is verified after the
//! write, and written again if it was lost.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures::future::{Either, select};
use futures::stream::{self, StreamExt, TryStreamExt};
use oras_spec::{Descriptor, Digest, MediaType, Reference};
use oras_store::{Error, ErrorKind, Result, check_written_size};

use crate::http::paging::MAX_PAGE;
use crate::http::retry::random;
use crate::repository::referrers::index_document::{IndexDocument, referrers_in, tag_of};
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
    /// By [`ReferrersIndex::verify_deferred`], for many entries at once, because verification takes time.
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

/// The index of a subject's referrers under a tag of the repository (distribution-spec, "Referrers Tag Schema").
pub(crate) struct ReferrersIndex<'a> {
    repository: &'a Repository,
    subject: &'a Descriptor,
    tag: Reference,
}

impl<'a> ReferrersIndex<'a> {
    /// Returns the index of `subject`, without a request.
    pub(crate) fn of(repository: &'a Repository, subject: &'a Descriptor) -> Result<Self> {
        let tag = repository.reference_to(&tag_of(&subject.digest))?;
        Ok(Self { repository, subject, tag })
    }

    /// Returns the referrers in the index; none if the tag names something else.
    pub(crate) async fn read(&self) -> Result<Vec<Descriptor>> {
        let TagContent::Index(bytes) = self.read_tag().await? else { return Ok(Vec::new()) };
        let failed = |error: Error| {
            error.context(format!("failed to decode referrers index from referrers tag {}", self.tag))
        };
        referrers_in(&bytes).map_err(failed)
    }

    /// Adds `referrer` and verifies that it remains. Waiting referrers of the same index are added by the same write.
    pub(crate) async fn add(&self, referrer: &Descriptor, verify: Verify) -> Result<()> {
        let (pending, tag) = (self.repository.pending_referrers(), self.tag.to_string());
        let queued = pending.queue(&tag, referrer);
        // While this task waits for the lock, another writer may add this referrer with its own.
        let _lock = match select(pin!(self.lock()), pin!(queued.added_by_another())).await {
            Either::Left((lock, _)) => lock,
            Either::Right(_) => return Ok(()),
        };
        // Takes the referrers after locking, so that those queued while this task waited are part of the same write.
        let all = pending.take(&tag, &queued);
        let referrers: Vec<_> = all.iter().map(|queued| queued.referrer.clone()).collect();
        self.change(&referrer.digest, verify, |document| document.add_all(&referrers)).await?;
        if verify == Verify::Deferred {
            pending.defer_check(self.subject, referrers);
        }
        // Notifies only after the write, because a woken task reports success. After an error, each waiting task
        // writes its own referrer.
        all.iter().for_each(|queued| queued.notify());
        Ok(())
    }

    /// Verifies the entries whose check was [deferred](Verify::Deferred), in all indexes of `repository`.
    pub(crate) async fn verify_deferred(repository: &Repository) -> Result<()> {
        let pending = repository.pending_referrers();
        let checks = pending.take_deferred().into_iter().map(|(subject, referrers)| async move {
            let Some(first) = referrers.first() else { return Ok(()) };
            let index = ReferrersIndex::of(repository, &subject)?;
            let _lock = index.lock().await;
            let add = |document: &mut IndexDocument| document.add_all(&referrers);
            let checked = index.change(&first.digest, Verify::Recheck, add).await;
            // Queues the referrers again, so that a later `sync` repeats the check.
            if checked.is_err() {
                pending.defer_check(&subject, referrers);
            }
            checked
        });
        stream::iter(checks).buffer_unordered(MAX_CONCURRENT_CHECKS).try_collect().await
    }

    /// Removes `referrer` and verifies that it remains absent.
    pub(crate) async fn remove(&self, referrer: &Digest) -> Result<()> {
        let _lock = self.lock().await;
        self.change(referrer, Verify::Now, |document| document.remove(referrer)).await
    }

    /// Waits for the lock of the index.
    async fn lock(&self) -> UpdateLock {
        UpdateLock::acquire(&format!("{}/{}", self.repository.endpoint().origin(), self.tag)).await
    }

    /// Applies `change`, which returns true if it changed the index, until a read shows that nothing is left to
    /// change.
    async fn change(
        &self,
        referrer: &Digest,
        verify: Verify,
        change: impl Fn(&mut IndexDocument) -> bool,
    ) -> Result<()> {
        let tag = &self.tag;
        let (mut writes, mut previous, mut has_waited) = (u32::from(verify == Verify::Recheck), None, true);
        for _ in 0..MAX_ROUNDS {
            let (bytes, mut document) = self.read_document(writes > 0).await?;
            if !change(&mut document) {
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
            let bytes = document.to_bytes();
            check_written_size(
                &format!("the referrers index tagged by {tag}"),
                bytes.len(),
                self.size_limit(),
            )?;
            self.repository
                .put_manifest(tag, &MediaType::IMAGE_INDEX, bytes)
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
    fn size_limit(&self) -> u64 {
        self.repository.client().options().max_manifest_size.max(MAX_PAGE)
    }

    /// Returns the stored bytes and the document to change; a new document if there is none.
    async fn read_document(&self, was_written: bool) -> Result<(Bytes, IndexDocument)> {
        let tag = &self.tag;
        match self.read_tag().await? {
            // The client has just written an index under this tag, so the registry can't store one there.
            TagContent::Subject if was_written => {
                let message =
                    format!("the registry takes the referrers tag {tag} for the digest of the subject");
                Err(Error::new(ErrorKind::Unsupported, message))
            }
            TagContent::Nothing | TagContent::Subject => Ok((Bytes::new(), IndexDocument::default())),
            TagContent::Index(bytes) => Ok((bytes.clone(), IndexDocument::parse(&bytes)?)),
            // Overwriting would delete content that another program stored under this tag.
            TagContent::Other(media_type) => {
                let message = format!("the referrers tag {tag} names no index of referrers but {media_type}");
                Err(Error::new(ErrorKind::InvalidContent, message))
            }
        }
    }

    async fn read_tag(&self) -> Result<TagContent> {
        let tag = &self.tag;
        match self.repository.get_manifest_within(tag, self.size_limit()).await {
            Ok((descriptor, _)) if descriptor.digest == self.subject.digest => Ok(TagContent::Subject),
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
