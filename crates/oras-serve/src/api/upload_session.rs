//! One open upload.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use oras_store::Ingest;
use parking_lot::Mutex;
use tokio::sync::{MutexGuard, watch};

/// An open upload. One request writes at a time. Other requests read its progress or cancel it.
pub(crate) struct UploadSession {
    pub(super) repository: String,
    /// Locked by the request that writes. `None` once the upload was closed, or a write failed or was dropped.
    ingest: tokio::sync::Mutex<Option<Box<dyn Ingest>>>,
    written: AtomicU64,
    last_used: Mutex<Instant>,
    cancelled: watch::Sender<bool>,
}

impl UploadSession {
    pub(super) fn new(repository: &str, mut ingest: Box<dyn Ingest>) -> Arc<Self> {
        // A new session is idle until the first chunk, so it needs no open file.
        let written = ingest.pause().size;
        Arc::new(Self {
            repository: repository.to_owned(),
            written: AtomicU64::new(written),
            ingest: tokio::sync::Mutex::new(Some(ingest)),
            last_used: Mutex::new(Instant::now()),
            cancelled: watch::channel(false).0,
        })
    }

    /// Waits until no other request writes the upload.
    pub(super) async fn lock(&self) -> UploadLock<'_> {
        UploadLock(self.ingest.lock().await)
    }

    /// Returns the bytes written so far.
    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// Records that `written` bytes have been written.
    pub(super) fn set_written(&self, written: u64) {
        // Release: a reader that sees the count may rely on the bytes being written.
        self.written.store(written, Ordering::Release);
        self.touch();
    }

    /// Records that a request uses the upload.
    pub(super) fn touch(&self) {
        *self.last_used.lock() = Instant::now();
    }

    pub(super) fn last_used(&self) -> Instant {
        *self.last_used.lock()
    }

    /// Returns true if no request writes the upload now.
    pub(super) fn is_idle(&self) -> bool {
        self.ingest.try_lock().is_ok()
    }

    /// Returns true if the upload has been idle for longer than `age`.
    pub(super) fn is_expired(&self, age: Duration) -> bool {
        self.last_used().elapsed() > age && self.is_idle()
    }

    /// Returns true if the upload was closed, or a write failed or was dropped: only the store knows how much was
    /// written.
    pub(super) fn is_broken(&self) -> bool {
        self.ingest.try_lock().is_ok_and(|slot| slot.is_none())
    }

    /// Makes the request that writes the upload fail.
    pub(super) fn cancel(&self) {
        self.cancelled.send_replace(true);
    }

    /// Waits until the upload is cancelled.
    pub(super) async fn cancelled(&self) {
        // `wait_for` fails only if the sender was dropped, and `self` owns the sender.
        drop(self.cancelled.subscribe().wait_for(|cancelled| *cancelled).await);
    }
}

/// The exclusive right to write an upload. Dropping it pauses the upload, which closes its file, so that idle uploads
/// hold no file descriptors.
pub(super) struct UploadLock<'a>(MutexGuard<'a, Option<Box<dyn Ingest>>>);

impl Deref for UploadLock<'_> {
    type Target = Option<Box<dyn Ingest>>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for UploadLock<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl Drop for UploadLock<'_> {
    fn drop(&mut self) {
        if let Some(ingest) = &mut *self.0 {
            ingest.pause();
        }
    }
}
