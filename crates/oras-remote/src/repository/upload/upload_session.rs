//! The requests of one upload session (distribution-spec, "Pushing blobs"): opened, asked, added to, closed, given up.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use oras_spec::{Algorithm, Digest};
use oras_store::{Kind, Result};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use reqwest::Method;
use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE};
use tokio::time::timeout;
use url::Url;

use super::host::Host;
use super::payload::Payload;
use crate::blobs::check_digest;
use crate::repository::Repository;
use crate::request::{Body, Request, Response};
use crate::response::ResponseError;
use crate::retry::Failed;

/// What a digest and a repository need not have encoded in a query.
pub(super) const QUERY: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b':').remove(b'/').remove(b'-').remove(b'.').remove(b'_');
const OCTETS: &str = "application/octet-stream";
/// How long to wait for a registry to forget a session.
const CANCEL_PATIENCE: Duration = Duration::from_secs(5);

/// An upload session: where it goes on, which is a secret of the registry's, and how many bytes it has.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) location: Url,
    pub(super) offset: u64,
}

impl Session {
    /// The session that `response` opened or asks to go on with.
    pub(super) fn at(response: &Response, host: &Host) -> Result<Self> {
        let minimum = response.header("oci-chunk-min-length").and_then(|text| text.trim().parse().ok());
        if let Some(minimum) = minimum {
            host.announced_minimum(minimum);
        }
        Ok(Self { location: location(response)?, offset: 0 })
    }

    /// Takes the newest location and the number of bytes, `expected` unless the registry says that it has fewer.
    fn moved(&mut self, response: &Response, expected: u64) -> Result<()> {
        if response.header(LOCATION.as_str()).is_some() {
            self.location = location(response)?;
        }
        let told = response.header(RANGE.as_str()).and_then(bytes_told);
        // What cannot be is not believed: the digest tells in the end.
        let told = told.filter(|told| (self.offset..=expected).contains(told));
        self.offset = told.unwrap_or(expected);
        Ok(())
    }
}

impl Repository {
    /// What was learned of the registry.
    pub(super) fn host(&self) -> Arc<Host> {
        self.client().host(self.endpoint())
    }

    /// Opens a session; the digest or its algorithm may be known.
    pub(super) async fn begin(&self, algorithm: Option<&str>) -> Result<Session, Failed> {
        // A registry may have to know before the first byte comes (distribution-spec main, "Pushing blobs").
        let query = match algorithm {
            None => String::new(),
            Some(name) if Algorithm::from_name(name) == Some(Algorithm::Sha256) => String::new(),
            Some(name) => format!("?digest-algorithm={}", utf8_percent_encode(name, QUERY)),
        };
        let url = self.url(&format!("blobs/uploads/{query}"))?;
        let request = Request::new(Method::POST, url, self.push_scopes());
        let response = self.client().attempt(self.endpoint(), &request).await?.expect(&[202])?;
        Ok(Session::at(&response, &self.host())?)
    }

    /// Asks how much the registry has; `None` when it has no such session or does not tell.
    pub(super) async fn status(&self, session: &Session) -> Result<Option<Session>, Failed> {
        let request = Request::new(Method::GET, session.location.clone(), self.push_scopes());
        let response = self.client().attempt(self.endpoint(), &request).await?;
        let offset = response.header(RANGE.as_str()).and_then(bytes_told);
        let (200 | 204, Some(offset)) = (response.status.as_u16(), offset) else { return Ok(None) };
        let mut session = session.clone();
        if response.header(LOCATION.as_str()).is_some() {
            session.location = location(&response)?;
        }
        Ok(Some(Session { offset, ..session }))
    }

    /// Adds the bytes of `range`, which begins where the session is.
    pub(super) async fn patch(
        &self,
        session: &mut Session,
        payload: &Payload,
        range: Range<u64>,
    ) -> Result<(), Failed> {
        let is_all = payload.is_all(&range);
        let end = range.end;
        let mut request = Request::new(Method::PATCH, session.location.clone(), self.push_scopes())
            .header(CONTENT_TYPE, OCTETS)?;
        if !is_all {
            // Inclusive, and without a unit (distribution-spec, "Pushing a blob in chunks").
            request = request.header(CONTENT_RANGE, &format!("{}-{}", range.start, end.saturating_sub(1)))?;
        }
        let request = request.body(Body::Part(payload.clone(), range));
        let response =
            self.client().attempt(self.endpoint(), &request).await?.expect(&[200, 201, 202, 204])?;
        Ok(session.moved(&response, end)?)
    }

    /// Sends all bytes with the digest, which closes the session.
    pub(super) async fn put(
        &self,
        session: &Session,
        payload: &Payload,
        digest: &Digest,
    ) -> Result<(), Failed> {
        self.close_with(session, Body::Part(payload.clone(), 0..payload.size()), digest).await
    }

    /// Closes the session, which has all bytes.
    pub(super) async fn close(&self, session: &Session, digest: &Digest) -> Result<(), Failed> {
        self.close_with(session, Body::Empty, digest).await
    }

    async fn close_with(&self, session: &Session, body: Body, digest: &Digest) -> Result<(), Failed> {
        let request = Request::new(Method::PUT, with_digest(&session.location, digest), self.push_scopes())
            .header(CONTENT_TYPE, OCTETS)?
            .body(body);
        let response = self.client().attempt(self.endpoint(), &request).await?.expect(&[200, 201, 204])?;
        Ok(check_digest(&response, digest)?)
    }

    /// Sends a blob with the `POST` (distribution-spec, "Single POST"): done, or the session to send it to instead.
    pub(super) async fn post(&self, payload: &Payload, digest: &Digest) -> Result<Option<Session>> {
        let text = digest.to_string();
        let url = self.url(&format!("blobs/uploads/?digest={}", utf8_percent_encode(&text, QUERY)))?;
        let request = Request::new(Method::POST, url, self.push_scopes())
            .header(CONTENT_TYPE, OCTETS)?
            .body(Body::Part(payload.clone(), 0..payload.size()));
        let response = self.client().send(self.endpoint(), &request).await?.expect(&[201, 202])?;
        if response.status == 202 {
            return Session::at(&response, &self.host()).map(Some);
        }
        check_digest(&response, digest)?;
        Ok(None)
    }

    /// Lets the registry forget the session (distribution-spec main, "Canceling a blob upload"). It forgets it by
    /// itself, too, so that nothing depends on this. Whether it says that the session is gone.
    pub(super) async fn cancel(&self, session: &Session) -> bool {
        let request = Request::new(Method::DELETE, session.location.clone(), self.push_scopes());
        let cancelled = self.client().attempt(self.endpoint(), &request);
        let answered = timeout(CANCEL_PATIENCE, cancelled).await;
        let is_gone =
            matches!(&answered, Ok(Ok(response)) if matches!(response.status.as_u16(), 200..=299 | 404));
        if !is_gone {
            tracing::debug!("an upload session was left to expire");
        }
        is_gone
    }
}

/// The status that a registry refused a request with.
pub(super) fn refusal(failed: &Failed) -> Option<&ResponseError> {
    failed.error.find::<ResponseError>()
}

/// The number of bytes in a `Range: 0-9` of an upload. `0-0` stands for none: one byte alone is sent again.
fn bytes_told(range: &str) -> Option<u64> {
    let range = range.trim();
    let last = range.strip_prefix("bytes=").unwrap_or(range).strip_prefix("0-")?;
    match last.trim().parse::<u64>().ok()? {
        0 => Some(0),
        last => last.checked_add(1),
    }
}

/// Where a session goes on. May be on another host, which then gets no credentials; never from HTTPS to HTTP.
pub(super) fn location(response: &Response) -> Result<Url> {
    let invalid = |why: &str| response.bad(Kind::InvalidContent, &format!("{why} Location of the upload"));
    let text = response.header(LOCATION.as_str()).ok_or_else(|| invalid("missing"))?;
    if text.trim().is_empty() {
        return Err(invalid("empty"));
    }
    let location = response.url.join(text).map_err(|_| invalid("invalid"))?;
    if is_safe(&response.url, &location) {
        return Ok(location);
    }
    let why = format!("refusing to send content from {} to {}", response.url.scheme(), location.scheme());
    Err(response.bad(Kind::Denied, &why))
}

/// Whether content may be sent to `location` on behalf of `registry`.
pub(super) fn is_safe(registry: &Url, location: &Url) -> bool {
    matches!((registry.scheme(), location.scheme()), ("http", "http") | (_, "https"))
}

/// The location as it was given, with the digest at its end; another digest that it has is left out.
fn with_digest(location: &Url, digest: &Digest) -> Url {
    let is_digest = |pair: &str| {
        let name = pair.split('=').next().unwrap_or_default();
        percent_decode_str(name).decode_utf8_lossy().eq_ignore_ascii_case("digest")
    };
    let digest = digest.to_string();
    let digest = format!("digest={}", utf8_percent_encode(&digest, QUERY));
    let given = location.query().unwrap_or_default().split('&');
    let mut query: Vec<_> = given.filter(|pair| !pair.is_empty() && !is_digest(pair)).collect();
    query.push(&digest);
    let mut url = location.clone();
    url.set_query(Some(&query.join("&")));
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
            ("http://h/u?digest=sha256:0&a=digest", "http://h/u?a=digest&digest=sha256%2Bb64u:a_-%3D"),
            ("http://h/u?a=b&Digest=&%64igest=x&digest", "http://h/u?a=b&digest=sha256%2Bb64u:a_-%3D"),
            (
                "http://h/u?digest-algorithm=sha512",
                "http://h/u?digest-algorithm=sha512&digest=sha256%2Bb64u:a_-%3D",
            ),
        ] {
            assert_eq!(with_digest(&Url::parse(location).unwrap(), &digest).as_str(), expected);
        }
    }

    #[test]
    fn what_a_registry_has() {
        for (range, expected) in [
            ("0-0", Some(0)),
            ("0-9", Some(10)),
            (" bytes=0-9 ", Some(10)),
            ("1-9", None),
            ("0-18446744073709551615", None),
            ("0--1", None),
            ("", None),
        ] {
            assert_eq!(bytes_told(range), expected, "{range}");
        }
    }
}
