//! Blobs on their way to a registry: mounted if it has them elsewhere, else sent in one piece
//! (distribution-spec, "Pushing a blob monolithically" and "Mounting a blob from another repository").

use oras_spec::{Algorithm, Digest};
use oras_store::{Content, Kind, Origin, Pushed, Result};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, LOCATION};
use url::Url;

use crate::blobs::check_digest;
use crate::repository::Repository;
use crate::request::{Body, Request, Response};
use crate::response::ResponseError;
use crate::retry::Failed;
use crate::scope::Scopes;

/// What a digest and a repository need not have encoded in a query.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b':').remove(b'/').remove(b'-').remove(b'.').remove(b'_');

/// What a registry answers to a mount.
enum Mount {
    Done,
    /// It wants the bytes instead, here.
    Upload(Url),
    Refused,
}

impl Repository {
    /// Mounts or sends a blob. What can be opened again is sent again after a passing failure, from the beginning
    /// and in a new session.
    pub(crate) async fn push_blob(&self, content: &Content) -> Result<Pushed> {
        let mut session = match self.mount(content).await? {
            Mount::Done => return Ok(Pushed::Adopted),
            Mount::Upload(location) => Some(location),
            Mount::Refused => None,
        };
        let mut tries = self.client().options().retry.tries();
        loop {
            let failed = match self.send_blob(content, session.take()).await {
                Ok(()) => return Ok(Pushed::Copied),
                Err(failed) => failed,
            };
            tries.again_after(failed).await?;
        }
    }

    /// Sends the bytes to a session that was opened, or to a new one.
    async fn send_blob(&self, content: &Content, session: Option<Url>) -> Result<(), Failed> {
        let location = match session {
            Some(location) => location,
            None => self.begin(&content.descriptor().digest).await?,
        };
        let sent = self.finish(content, &location).await;
        // Content that is gone with the first try can't be sent again.
        sent.map_err(|failed| if content.is_replayable() { failed } else { failed.error.into() })
    }

    async fn mount(&self, content: &Content) -> Result<Mount> {
        let Origin::Repository { registry, repository } = content.origin() else { return Ok(Mount::Refused) };
        if registry != self.endpoint().origin() || repository == self.path() {
            return Ok(Mount::Refused);
        }
        let digest = content.descriptor().digest.to_string();
        let (mount, from) = (utf8_percent_encode(&digest, QUERY), utf8_percent_encode(&repository, QUERY));
        let url = self.url(&format!("blobs/uploads/?mount={mount}&from={from}"))?;
        let mut scopes = self.push_scopes();
        scopes.merge(&Scopes::repository(&repository, &["pull"]));
        let response =
            match self.client().send(self.endpoint(), &Request::new(Method::POST, url, scopes)).await {
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
            201 => check_digest(&response, &content.descriptor().digest).map(|()| Mount::Done),
            202 => Ok(Mount::Upload(location(&response)?)),
            _ => Ok(Mount::Refused),
        }
    }

    /// Opens a session, and says where the bytes go.
    async fn begin(&self, digest: &Digest) -> Result<Url, Failed> {
        // A registry may have to know before the first byte comes (distribution-spec main, "Pushing blobs").
        let query = match digest.algorithm() {
            Some(Algorithm::Sha256) => String::new(),
            _ => format!("?digest-algorithm={}", utf8_percent_encode(digest.algorithm_name(), QUERY)),
        };
        let url = self.url(&format!("blobs/uploads/{query}"))?;
        let request = Request::new(Method::POST, url, self.push_scopes());
        let response = self.client().attempt(self.endpoint(), &request).await?.expect(&[202])?;
        Ok(location(&response)?)
    }

    /// Sends the bytes and closes the session.
    async fn finish(&self, content: &Content, location: &Url) -> Result<(), Failed> {
        let digest = &content.descriptor().digest;
        let request = Request::new(Method::PUT, with_digest(location, digest), self.push_scopes())
            .header(CONTENT_TYPE, "application/octet-stream")?
            .body(Body::Content(content.clone()));
        let response = self.client().attempt(self.endpoint(), &request).await?;
        if !matches!(response.status.as_u16(), 200 | 201 | 204) {
            let error = response.error();
            // A session that was lost on the way may be opened again.
            let lost = error.has_code("BLOB_UPLOAD_UNKNOWN") || error.has_code("BLOB_UPLOAD_INVALID");
            let error = error.into_error();
            return Err(if lost { Failed::later(error) } else { error.into() });
        }
        Ok(check_digest(&response, digest)?)
    }
}

/// Where a session goes on. May be on another host, which then gets no credentials; never from HTTPS to HTTP.
fn location(response: &Response) -> Result<Url> {
    let invalid = || response.bad(Kind::InvalidContent, "invalid or missing Location of the upload");
    let text = response.header(LOCATION.as_str()).ok_or_else(invalid)?;
    let location = response.url.join(text).map_err(|_| invalid())?;
    match (response.url.scheme(), location.scheme()) {
        ("http", "http") | (_, "https") => Ok(location),
        (from, to) => {
            let why = format!("refusing to send content from {from} to {to}");
            Err(response.bad(Kind::Denied, &why))
        }
    }
}

/// The location as it was given, with the digest at its end.
fn with_digest(location: &Url, digest: &Digest) -> Url {
    let digest = digest.to_string();
    let digest = utf8_percent_encode(&digest, QUERY);
    let query = match location.query() {
        Some(query) if !query.is_empty() => format!("{query}&digest={digest}"),
        _ => format!("digest={digest}"),
    };
    let mut url = location.clone();
    url.set_query(Some(&query));
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_location_is_kept() {
        let digest: Digest = "sha256+b64u:a_-=".parse().unwrap();
        for (location, expected) in [
            ("http://h/u/1", "http://h/u/1?digest=sha256%2Bb64u:a_-%3D"),
            ("http://h/u/1?", "http://h/u/1?digest=sha256%2Bb64u:a_-%3D"),
            ("http://h/u?z=%2f&a=b+c", "http://h/u?z=%2f&a=b+c&digest=sha256%2Bb64u:a_-%3D"),
        ] {
            assert_eq!(with_digest(&Url::parse(location).unwrap(), &digest).as_str(), expected);
        }
    }
}
