//! Blobs on their way to a registry: mounted if it has them elsewhere, else sent, in as few requests as it takes
//! (distribution-spec, "Pushing blobs" and "Mounting a blob from another repository").
//!
//! [`session`] has the requests, [`transfer`] the order they go in and what is done when one fails, [`host`] what was
//! learned of a registry, [`kept`] what a later run goes on with,
//! [`relay`] how a download goes on when the upload behind it broke; [`streamed`] and [`pieces`] send what has no digest
//! yet.

mod cancel;
mod host;
mod kept;
mod payload;
mod pieces;
mod relay;
mod session;
mod streamed;
mod transfer;

use oras_spec::{Algorithm, Digest};
use oras_store::{Content, Kind, Origin, Pushed, Result};
use percent_encoding::utf8_percent_encode;
use reqwest::Method;

use crate::blobs::check_digest;
use crate::repository::Repository;
use crate::request::Request;
use crate::response::ResponseError;
use crate::scope::Scopes;

pub(crate) use host::{Host, Hosts};
pub use kept::{UnfinishedUpload, UnfinishedUploads};
pub(crate) use payload::Payload;
pub(crate) use pieces::Pieces;
use session::{QUERY, Session};
use transfer::Transfer;

/// Blobs up to this size are sent without asking first whether they are there: the answer would cost as much.
const SMALL: u64 = 256 << 10;

/// What a registry answers to a mount.
enum Mount {
    Done,
    /// It wants the bytes instead, here.
    Upload(Session),
    Refused,
}

impl Repository {
    /// Whether a push of `content` tells by itself if it was there.
    pub(crate) fn push_finds_out(&self, content: &Content) -> bool {
        let descriptor = content.descriptor();
        !descriptor.media_type.is_manifest()
            && (descriptor.size <= SMALL || self.mountable(content).is_some())
    }

    /// Mounts or sends a blob. What can be opened again is sent again after a passing failure, from where the registry
    /// has it.
    pub(crate) async fn push_blob(&self, content: &Content) -> Result<Pushed> {
        let digest = &content.descriptor().digest;
        let payload = Payload::content(content.clone());
        let Some(from) = self.mountable(content) else {
            if content.descriptor().size <= SMALL {
                return self.push_small(&payload, digest).await;
            }
            Transfer::new(self, &payload, Some(&digest.to_string())).await.finish(digest).await?;
            return Ok(Pushed::Copied);
        };
        let session = match self.mount(digest, &from).await? {
            Mount::Done => return Ok(Pushed::Adopted),
            Mount::Upload(session) => Some(session),
            Mount::Refused => None,
        };
        // The caller may have left it to the mount to find out.
        if self.has("blobs", content.descriptor()).await? {
            if let Some(session) = &session {
                self.cancel(session).await;
            }
            return Ok(Pushed::Existed);
        }
        let mut transfer = Transfer::new(self, &payload, Some(&digest.to_string())).await;
        transfer.offered(session).await;
        transfer.finish(digest).await?;
        Ok(Pushed::Copied)
    }

    /// Sends a small blob in one request where the registry takes that; elsewhere in two, the first of which asks to
    /// mount it from where it is to go, which tells whether it is there.
    ///
    /// In one request nobody tells whether it was there.
    async fn push_small(&self, payload: &Payload, digest: &Digest) -> Result<Pushed> {
        let host = self.host();
        let mut session = None;
        let is_common = digest.algorithm() == Some(Algorithm::Sha256) && payload.is_replayable();
        if is_common && host.takes_single_post() {
            session = match self.post(payload, digest).await? {
                None => return Ok(Pushed::Copied),
                other => other,
            };
            host.learned_single_post(false);
        } else if is_common && host.mounts() {
            session = match self.mount(digest, self.path()).await? {
                Mount::Done => return Ok(Pushed::Existed),
                Mount::Upload(session) => Some(session),
                Mount::Refused => {
                    host.refuses_mounts();
                    None
                }
            };
        }
        if is_common && host.tries_single_post() {
            // Now that it is known not to be there.
            match self.post(payload, digest).await {
                Ok(posted) => {
                    host.learned_single_post(posted.is_none());
                    let unused = if posted.is_some() {
                        std::mem::replace(&mut session, posted)
                    } else {
                        session.take()
                    };
                    if let Some(unused) = &unused {
                        self.cancel(unused).await;
                    }
                    if host.takes_single_post() {
                        return Ok(Pushed::Copied);
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "no single POST");
                    host.learned_single_post(false);
                }
            }
        }
        let mut transfer = Transfer::new(self, payload, Some(&digest.to_string())).await;
        transfer.offered(session).await;
        transfer.finish(digest).await?;
        Ok(Pushed::Copied)
    }

    /// The other repository of this registry that `content` is in.
    fn mountable(&self, content: &Content) -> Option<String> {
        let Origin::Repository { registry, repository } = content.origin() else { return None };
        (registry == self.endpoint().origin() && repository != self.path()).then_some(repository)
    }

    async fn mount(&self, digest: &Digest, from: &str) -> Result<Mount> {
        let text = digest.to_string();
        let (mount, source) = (utf8_percent_encode(&text, QUERY), utf8_percent_encode(from, QUERY));
        let url = self.url(&format!("blobs/uploads/?mount={mount}&from={source}"))?;
        let mut scopes = self.push_scopes();
        scopes.merge(&Scopes::repository(from, &["pull"]));
        let request = Request::new(Method::POST, url, scopes);
        let response = match self.client().send(self.endpoint(), &request).await {
            Ok(response) => response,
            // Credentials for the one repository need not do for the other; the blob can be sent all the same.
            Err(error)
                if matches!(error.kind(), Kind::Unauthorized | Kind::Denied)
                    || error.find::<ResponseError>().is_some() =>
            {
                tracing::debug!(%error, "not mounted");
                return Ok(Mount::Refused);
            }
            Err(error) => return Err(error),
        };
        match response.status.as_u16() {
            201 => check_digest(&response, digest).map(|()| Mount::Done),
            202 => Session::at(&response, &self.host()).map(Mount::Upload),
            _ => Ok(Mount::Refused),
        }
    }
}
