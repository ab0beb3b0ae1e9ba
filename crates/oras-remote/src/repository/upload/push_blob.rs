//! Pushes a blob: mounts it from another repository if possible, otherwise sends it in as few requests as the
//! registry accepts (distribution-spec, "Pushing blobs").

use oras_spec::{Algorithm, Digest};
use oras_store::{Content, Pushed, Result};

use crate::http::payload::Payload;
use crate::repository::repository::Repository;
use crate::repository::upload::blob_uploader::BlobUploader;
use crate::repository::upload::mount::Mount;
use crate::repository::upload::upload_session::UploadSession;

impl Repository {
    /// Mounts or sends a blob, unless it exists. Content that can be opened again is retried, from the registry's offset.
    pub(crate) async fn upload_blob(&self, content: &Content) -> Result<Pushed> {
        let digest = &content.descriptor().digest;
        let payload = Payload::content(content.clone());
        let Some(from) = self.mountable(content) else {
            return self.push_hashed(&payload, content.descriptor()).await;
        };
        let session = match self.mount(digest, &from).await? {
            Mount::Done => return Ok(Pushed::Adopted),
            Mount::Upload(session) => Some(session),
            Mount::Refused => None,
        };
        if self.has("blobs", content.descriptor()).await? {
            if let Some(session) = &session {
                session.cancel(self).await;
            }
            return Ok(Pushed::Existed);
        }
        let mut uploader = BlobUploader::new(self, &payload, Some(&digest.to_string())).await;
        uploader.adopt_session(session).await;
        uploader.finish(digest).await?;
        Ok(Pushed::Copied)
    }

    /// Sends a small blob in one request if the registry accepts that. Otherwise sends two requests. The first one
    /// mounts the blob from its own repository, which detects an existing blob.
    ///
    /// A single request does not show whether the blob existed.
    pub(crate) async fn push_small(&self, payload: &Payload, digest: &Digest) -> Result<Pushed> {
        let capabilities = self.upload_capabilities();
        let mut session = None;
        // Only SHA-256 digests and replayable content allow another kind of request after a failed one.
        let is_common = digest.algorithm() == Some(Algorithm::Sha256) && payload.is_replayable();
        if is_common && capabilities.accepts_single_post() {
            session = match UploadSession::post(self, payload, digest).await? {
                None => return Ok(Pushed::Copied),
                other => other,
            };
            // The registry opened a session instead, so the next blobs use sessions from the start.
            capabilities.set_single_post(false);
        } else if is_common && capabilities.supports_mounts() {
            // A mount from the repository itself succeeds only if the blob exists, so it replaces a `HEAD`.
            session = match self.mount(digest, self.path()).await? {
                Mount::Done => return Ok(Pushed::Existed),
                Mount::Upload(session) => Some(session),
                Mount::Refused => {
                    capabilities.disable_mounts();
                    None
                }
            };
        }
        if is_common && capabilities.should_try_single_post() {
            // The blob is missing in the registry, so the trial only sends bytes that must be sent in any case.
            match UploadSession::post(self, payload, digest).await {
                Ok(posted) => {
                    let is_stored = posted.is_none();
                    capabilities.set_single_post(is_stored);
                    // Two sessions may be open now: one of the mount and one of the single `POST`. Only one is used.
                    if let Some(unused) = std::mem::replace(&mut session, posted) {
                        unused.cancel(self).await;
                    }
                    if is_stored {
                        return Ok(Pushed::Copied);
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "no single POST");
                    capabilities.set_single_post(false);
                }
            }
        }
        let mut uploader = BlobUploader::new(self, payload, Some(&digest.to_string())).await;
        uploader.adopt_session(session).await;
        uploader.finish(digest).await?;
        Ok(Pushed::Copied)
    }
}
