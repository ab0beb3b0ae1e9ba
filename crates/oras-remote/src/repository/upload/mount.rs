//! Mounts a blob from another repository of the registry (distribution-spec, "Mounting a blob from another
//! repository").

use oras_spec::Digest;
use oras_store::{Content, ErrorKind, Origin, Result};
use percent_encoding::utf8_percent_encode;
use reqwest::Method;

use crate::auth::scope::Scopes;
use crate::http::request::Request;
use crate::http::response_error::ResponseError;
use crate::repository::repository::Repository;
use crate::repository::response_checks::check_digest;
use crate::repository::upload::upload_session::{QUERY, UploadSession};

/// The answer to a mount.
pub(crate) enum Mount {
    Done,
    /// The registry opened a session for the bytes instead.
    Upload(UploadSession),
    Refused,
}

impl Repository {
    /// Returns the other repository of this registry that holds `content`.
    pub(crate) fn mountable(&self, content: &Content) -> Option<String> {
        let Origin::Repository { registry, repository } = content.origin() else { return None };
        (registry == self.endpoint().origin() && repository != self.path()).then_some(repository)
    }

    pub(crate) async fn mount(&self, digest: &Digest, from: &str) -> Result<Mount> {
        let text = digest.to_string();
        let (mount, source) = (utf8_percent_encode(&text, QUERY), utf8_percent_encode(from, QUERY));
        let url = self.url(&format!("blobs/uploads/?mount={mount}&from={source}"))?;
        let mut scopes = self.push_scopes();
        // Mounting needs a token that also allows reading the other repository.
        scopes.merge(&Scopes::repository(from, &["pull"]));
        let request = Request::new(Method::POST, url, scopes);
        let response = match self.send(&request).await {
            Ok(response) => response,
            // Credentials may not cover the other repository; the blob can still be sent.
            Err(error)
                if matches!(error.kind(), ErrorKind::Unauthorized | ErrorKind::Denied)
                    || error.find::<ResponseError>().is_some() =>
            {
                tracing::debug!(%error, "not mounted");
                return Ok(Mount::Refused);
            }
            Err(error) => return Err(error),
        };
        match response.status.as_u16() {
            201 => check_digest(&response, digest).map(|()| Mount::Done),
            // A registry that does not mount opens an upload session instead (distribution-spec).
            202 => UploadSession::at(&response, &self.upload_capabilities()).map(Mount::Upload),
            _ => Ok(Mount::Refused),
        }
    }
}
