//! Uploads one blob through a session: in one request if possible, otherwise in chunks. After a failure, the upload
//! resumes at the registry's offset, or starts again if the session was lost.
//!
//! Dropping the uploader, as Ctrl-C does, leaves the session open. If its state is saved, the next run resumes it;
//! otherwise the registry expires it. Other failures delete the session.

use std::sync::Arc;

use oras_spec::Digest;
use oras_store::{Error, ErrorKind, Result};

use crate::http::payload::{MAX_SMALL_BLOB, Payload};
use crate::http::request::Body;
use crate::http::retry::{FailedAttempt, RetryAdvice, RetryBudget};
use crate::repository::repository::Repository;
use crate::repository::upload::upload_capabilities::{FIRST_CHUNK, UploadCapabilities};
use crate::repository::upload::upload_session::{UploadSession, refusal};
use crate::repository::upload::upload_state::UploadStateFile;

/// After this many failed requests without a stored byte, the client sends smaller chunks.
const MAX_FRUITLESS_ATTEMPTS: u32 = 2;

/// An upload of one blob.
pub(crate) struct BlobUploader {
    pub(crate) repository: Repository,
    pub(crate) capabilities: Arc<UploadCapabilities>,
    pub(crate) payload: Payload,
    pub(crate) session: Option<UploadSession>,
    /// Whether an earlier run opened the session. It may have expired or be damaged.
    pub(crate) is_old: bool,
    /// Whether the session of an earlier run was checked.
    pub(crate) is_saved_session_checked: bool,
    saved_state: Option<UploadStateFile>,
    pub(crate) budget: RetryBudget,
    /// The highest offset that the registry reported.
    pub(crate) furthest: u64,
    pub(crate) fruitless: u32,
}

/// Why the bytes could not be stored in a session.
pub(crate) enum FillError {
    /// The registry does not accept `PATCH`.
    NoPatch,
    Failed(Error),
}

/// A failed request.
pub(crate) struct FailedRequest {
    pub(crate) failed: FailedAttempt,
    /// The length of the request body in bytes.
    pub(crate) sent: u64,
    /// Whether the request was meant to close the session.
    pub(crate) is_closing: bool,
}

impl From<FailedAttempt> for FailedRequest {
    fn from(failed: FailedAttempt) -> Self {
        Self { failed, sent: 0, is_closing: false }
    }
}

impl BlobUploader {
    /// Creates an uploader without connecting. `name` identifies the blob in a later run.
    pub(crate) async fn new(repository: &Repository, payload: &Payload, name: Option<&str>) -> Self {
        let mut uploader = Self {
            repository: repository.clone(),
            capabilities: repository.upload_capabilities(),
            payload: payload.clone(),
            session: None,
            is_old: false,
            is_saved_session_checked: false,
            saved_state: None,
            budget: repository.client().options().retry.budget(),
            furthest: 0,
            fruitless: 0,
        };
        // A later run can resume only if it can read the content again and the registry accepts `PATCH`.
        if let Some(name) = name.filter(|_| payload.is_replayable() && uploader.capabilities.accepts_patch())
        {
            uploader.saved_state = UploadStateFile::open(repository, name, payload.size()).await;
        }
        if let Some(location) = uploader.saved_state.as_ref().and_then(UploadStateFile::location) {
            // The offset is not saved: the registry reports it when the session is checked.
            uploader.session = Some(UploadSession { location, offset: 0 });
            uploader.is_old = true;
        }
        uploader
    }

    /// Sets the payload that the next requests send.
    pub(crate) fn set_payload(&mut self, payload: Payload) {
        self.payload = payload;
    }

    /// Uses the session that the registry opened, unless a session of an earlier run exists.
    pub(crate) async fn adopt_session(&mut self, session: Option<UploadSession>) {
        let Some(session) = session else { return };
        if self.session.is_some() {
            // The session of an earlier run may already contain bytes, so the new one is not needed.
            session.cancel(&self.repository).await;
        } else {
            self.save_state(&session).await;
            self.session = Some(session);
        }
    }

    /// Sends the missing bytes and closes the session.
    pub(crate) async fn finish(&mut self, digest: &Digest) -> Result<()> {
        self.check_saved_session().await;
        loop {
            let failed_request = match self.step(Some(digest)).await {
                Ok(true) => {
                    self.remove_state().await;
                    return Ok(());
                }
                Ok(false) => continue,
                Err(failed_request) => failed_request,
            };
            let may_be_done = failed_request.is_closing && failed_request.failed.advice != RetryAdvice::Never;
            self.recover(failed_request).await?;
            // If the response to the closing request was lost, the registry may have stored the blob.
            let size = self.payload.size();
            if may_be_done
                && self.session.is_none()
                && size > MAX_SMALL_BLOB
                && self.repository.has_blob(digest, size).await.unwrap_or_default()
            {
                self.remove_state().await;
                return Ok(());
            }
        }
    }

    /// Sends the missing bytes and leaves the session open.
    pub(crate) async fn fill(&mut self) -> Result<(), FillError> {
        self.check_saved_session().await;
        loop {
            let failed_request = match self.step(None).await {
                Ok(true) => return Ok(()),
                Ok(false) => continue,
                Err(failed_request) => failed_request,
            };
            // A registry that stored bytes accepts `PATCH`, so its error has another reason.
            if self.furthest == 0 && !self.is_old && rejects_patch(&failed_request) {
                self.capabilities.disable_patch();
                self.abandon().await;
                return Err(FillError::NoPatch);
            }
            self.recover(failed_request).await.map_err(FillError::Failed)?;
        }
    }

    /// Deletes the session and its saved state.
    pub(crate) async fn abandon(&mut self) {
        if let Some(session) = self.session.take() {
            session.cancel(&self.repository).await;
        }
        self.remove_state().await;
    }

    /// Sends the next request. With a digest, returns true after the request that closes the session has succeeded.
    /// Without a digest, returns true after the registry has stored the last byte.
    async fn step(&mut self, digest: Option<&Digest>) -> Result<bool, FailedRequest> {
        let size = self.payload.size();
        let session = match self.session.take() {
            Some(session) => session,
            None => {
                let session =
                    UploadSession::open(&self.repository, digest.map(Digest::algorithm_name)).await?;
                self.save_state(&session).await;
                session
            }
        };
        let session = self.session.insert(session);
        // A proxy may cut large bodies, so after repeated failures the client sends smaller chunks.
        let careful = self.fruitless >= MAX_FRUITLESS_ATTEMPTS && size > FIRST_CHUNK;
        if let Some(digest) = digest {
            // Empty content, content that can be read only once, and registries without `PATCH` need a single `PUT`.
            let needs_single_request =
                size == 0 || !self.payload.is_replayable() || !self.capabilities.accepts_patch();
            let closing_body = if session.offset == 0
                && (needs_single_request || (self.capabilities.accepts_whole(size) && !careful))
            {
                Some(Body::Part(self.payload.clone(), 0..size))
            } else {
                (session.offset == size).then_some(Body::Empty)
            };
            if let Some(body) = closing_body {
                let sent = size - session.offset;
                let closed = session.close(&self.repository, body, digest).await;
                return match closed {
                    Ok(()) => Ok(true),
                    Err(failed) => Err(FailedRequest { failed, sent, is_closing: true }),
                };
            }
        }
        // Without a known limit of the registry, one chunk has all missing bytes.
        let start = session.offset;
        let length = self.capabilities.chunk_size(size.saturating_sub(start), careful);
        let sent = session.send_chunk(&self.repository, &self.payload, start..start + length).await;
        sent.map_err(|failed| FailedRequest { failed, sent: length, is_closing: false })?;
        let session = session.clone();
        self.record_progress(session.offset);
        self.save_state(&session).await;
        Ok(session.offset == size && digest.is_none())
    }

    /// Records the offset of the registry. Progress resets the retry budget.
    pub(crate) fn record_progress(&mut self, offset: u64) {
        if offset > self.furthest {
            self.furthest = offset;
            self.budget = self.repository.client().options().retry.budget();
        }
    }

    pub(crate) async fn fail<T>(&mut self, error: Error) -> Result<T> {
        // Keeps the session after a failure that may be temporary. After a network failure, a request to delete the
        // session would fail as well.
        let may_pass = matches!(
            error.kind(),
            ErrorKind::Network | ErrorKind::Unauthorized | ErrorKind::Denied | ErrorKind::Other
        );
        if !(may_pass && self.saved_state.is_some()) {
            if error.kind() == ErrorKind::Network {
                self.session = None;
            }
            self.abandon().await;
        }
        Err(error)
    }

    pub(crate) async fn save_state(&mut self, session: &UploadSession) {
        if let Some(saved_state) = &mut self.saved_state {
            saved_state.write(&session.location).await;
        }
    }

    async fn remove_state(&mut self) {
        if let Some(saved_state) = self.saved_state.take() {
            saved_state.remove().await;
        }
    }
}

/// Returns true if the registry does not support `PATCH`. Valid only for a registry that has stored nothing so far.
pub(crate) fn rejects_patch(failed_request: &FailedRequest) -> bool {
    let Some(error) = refusal(&failed_request.failed) else { return false };
    failed_request.sent > 0
        && (error.status == 501
            || ((400..500).contains(&error.status)
                // These statuses have other causes: credentials, a timeout, the size, the offset, or overload.
                && !matches!(error.status, 401 | 403 | 408 | 413 | 416 | 429)))
}
