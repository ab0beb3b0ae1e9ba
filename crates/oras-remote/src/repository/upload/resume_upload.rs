//! Resumes an interrupted upload: at the registry's offset, in smaller chunks, or in a new session.

use std::time::Duration;

use oras_store::Result;

use crate::http::retry::{FailedAttempt, RetryAdvice};
use crate::repository::upload::blob_uploader::{BlobUploader, FailedRequest, rejects_patch};
use crate::repository::upload::upload_session::{UploadSession, refusal};

/// The time between checks of the offset. A registry may still be storing bytes that it received before the connection
/// broke; after `MAX_SETTLE_CHECKS` checks the client uses the last offset.
const SETTLE_INTERVAL: Duration = Duration::from_millis(50);
const MAX_SETTLE_CHECKS: u32 = 20;

impl BlobUploader {
    /// Checks the offset of a session that an earlier run left.
    pub(crate) async fn check_saved_session(&mut self) {
        if !self.is_old || self.is_saved_session_checked {
            return;
        }
        self.is_saved_session_checked = true;
        if let Some(old) = self.session.take() {
            // A session that can't be checked is replaced.
            let reported = self.settled_session(&old).await.unwrap_or_default();
            self.continue_from(reported).await;
            self.is_old = self.session.is_some();
            self.payload.report_present(self.furthest);
            tracing::debug!(offset = self.furthest, "resuming an upload of an earlier run");
        }
    }

    /// Decides how to continue after a failed request, or returns its error.
    pub(crate) async fn recover(&mut self, failed_request: FailedRequest) -> Result<()> {
        let Some(session) = self.session.clone() else { return self.wait(failed_request.failed).await };
        // Content that can be read only once can't be sent again.
        if !self.payload.is_replayable() {
            return self.fail(failed_request.failed.error).await;
        }
        let refused = refusal(&failed_request.failed);
        let status = refused.map(|error| error.status);
        // The registry no longer has the session, so resuming is impossible.
        let is_lost = refused.is_some_and(|error| {
            error.has_code("BLOB_UPLOAD_UNKNOWN") || error.has_code("BLOB_UPLOAD_INVALID")
        });
        // 413 means a body that is too large. Some registries answer 416 instead (GitHub, see the profiles).
        if matches!(status, Some(413 | 416)) && self.capabilities.accepts_patch() {
            return self.resize(failed_request, &session, status == Some(416)).await;
        }
        let refuses_patch = self.furthest == 0 && rejects_patch(&failed_request);
        let failed = failed_request.failed;
        if refuses_patch {
            self.capabilities.disable_patch();
        }
        if is_lost || refuses_patch {
            // Counts as a retry, so that a registry which loses every session can't cause an endless loop.
            self.wait(FailedAttempt::later(failed.error)).await?;
            self.drop_session().await;
            return Ok(());
        }
        match failed.advice {
            // A session of an earlier run may be expired or damaged, so a new session replaces it.
            RetryAdvice::Never if self.is_old => {
                tracing::debug!(error = %failed.error, "an upload of an earlier run was refused");
                self.drop_session().await;
                Ok(())
            }
            RetryAdvice::Never => self.fail(failed.error).await,
            advice => self.resume(FailedAttempt { advice, ..failed }, &session).await,
        }
    }

    /// Continues after a body that was too large or that began at another offset than the registry's.
    async fn resize(
        &mut self,
        failed_request: FailedRequest,
        session: &UploadSession,
        may_be_elsewhere: bool,
    ) -> Result<()> {
        let reported = session.status(&self.repository).await.unwrap_or_default();
        let is_elsewhere = reported.as_ref().is_some_and(|reported| reported.offset != session.offset);
        // A 416 may mean another offset instead of a body that is too large.
        if may_be_elsewhere && is_elsewhere {
            self.wait(FailedAttempt::later(failed_request.failed.error)).await?;
        } else if !self.capabilities.record_too_large(failed_request.sent, failed_request.is_closing) {
            return self.fail(failed_request.failed.error).await;
        }
        self.continue_from(reported).await;
        Ok(())
    }

    /// Continues after a transient failure.
    async fn resume(&mut self, mut failed: FailedAttempt, session: &UploadSession) -> Result<()> {
        loop {
            self.wait(failed).await?;
            // Without `PATCH`, the client can't append to a session, so a new session replaces it.
            if !self.capabilities.accepts_patch() {
                self.drop_session().await;
                return Ok(());
            }
            failed = match self.settled_session(session).await {
                Ok(reported) => {
                    self.continue_from(reported).await;
                    return Ok(());
                }
                Err(failed) if failed.advice == RetryAdvice::Never => {
                    self.continue_from(None).await;
                    return Ok(());
                }
                Err(failed) => failed,
            };
        }
    }

    /// Returns the session with the registry's offset once that stops changing. The registry may still be storing
    /// bytes in flight, and it rejects a body that begins before its offset.
    async fn settled_session(&self, session: &UploadSession) -> Result<Option<UploadSession>, FailedAttempt> {
        let mut reported = session.status(&self.repository).await?;
        for _ in 0..MAX_SETTLE_CHECKS {
            let Some(before) = reported.as_ref().filter(|reported| reported.offset < self.payload.size())
            else {
                break;
            };
            let offset = before.offset;
            tokio::time::sleep(SETTLE_INTERVAL).await;
            let now = before.status(&self.repository).await?;
            let is_settled = now.as_ref().is_none_or(|now| now.offset == offset);
            reported = now;
            if is_settled {
                break;
            }
        }
        Ok(reported)
    }

    /// Waits for the next attempt, or fails. The saved state is kept for a later run.
    async fn wait(&mut self, failed: FailedAttempt) -> Result<()> {
        match self.budget.wait_or_fail(failed).await {
            Ok(()) => Ok(()),
            Err(error) => self.fail(error).await,
        }
    }

    /// Continues with the session `reported` by the registry, or opens a new one if it has no usable offset.
    async fn continue_from(&mut self, reported: Option<UploadSession>) {
        // A session without stored bytes has nothing to resume, so a new session replaces it.
        let usable = reported.filter(|reported| (1..=self.payload.size()).contains(&reported.offset));
        let Some(session) = usable else {
            self.fruitless += 1;
            return self.drop_session().await;
        };
        self.record_progress(session.offset);
        tracing::debug!(offset = session.offset, "resuming an upload");
        self.save_state(&session).await;
        self.session = Some(session);
    }

    async fn drop_session(&mut self) {
        self.is_old = false;
        if let Some(session) = self.session.take() {
            session.cancel(&self.repository).await;
        }
    }
}
