//! The requests of an upload session: open, status, send, close and cancel (distribution-spec, "Pushing blobs").

use std::ops::Range;
use std::time::Duration;

use oras_spec::{Algorithm, Digest};
use oras_store::{ErrorKind, Result};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use reqwest::Method;
use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE};
use tokio::time::timeout;
use url::Url;

use crate::http::payload::Payload;
use crate::http::request::{Body, Request};
use crate::http::response::Response;
use crate::http::response_error::ResponseError;
use crate::http::retry::FailedAttempt;
use crate::repository::repository::Repository;
use crate::repository::response_checks::check_digest;
use crate::repository::upload::upload_capabilities::UploadCapabilities;

/// Characters of digests and repository names that need no encoding in a query.
pub(crate) const QUERY: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b':').remove(b'/').remove(b'-').remove(b'.').remove(b'_');
const OCTET_STREAM: &str = "application/octet-stream";
/// Timeout of cancelling a session.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(5);

/// An upload session: its location, which may contain a secret of the registry, and the number of bytes stored.
#[derive(Clone)]
pub(crate) struct UploadSession {
    pub(crate) location: Url,
    pub(crate) offset: u64,
}

impl UploadSession {
    /// Returns the session that `response` opened.
    pub(crate) fn at(response: &Response, uploads: &UploadCapabilities) -> Result<Self> {
        let minimum = response.header("oci-chunk-min-length").and_then(|text| text.trim().parse().ok());
        if let Some(minimum) = minimum {
            uploads.set_minimum(minimum);
        }
        Ok(Self { location: location(response)?, offset: 0 })
    }

    /// Each answer may have a new location, and the next request must use it (distribution-spec, "Pushing a blob in
    /// chunks").
    fn update_location(&mut self, response: &Response) -> Result<()> {
        if response.header(LOCATION.as_str()).is_some() {
            self.location = location(response)?;
        }
        Ok(())
    }

    /// Updates the location, and the offset, which is `expected` unless the registry reports fewer bytes.
    fn update(&mut self, response: &Response, expected: u64) -> Result<()> {
        self.update_location(response)?;
        let reported = response.header(RANGE.as_str()).and_then(parse_offset);
        // Ignores impossible offsets; the digest is verified in the end.
        let reported = reported.filter(|reported| (self.offset..=expected).contains(reported));
        self.offset = reported.unwrap_or(expected);
        Ok(())
    }

    /// Opens a session. `algorithm` is the algorithm of the digest, if it is known.
    pub(crate) async fn open(
        repository: &Repository,
        algorithm: Option<&str>,
    ) -> Result<Self, FailedAttempt> {
        // A registry may need the algorithm before the first byte (distribution-spec main, "Pushing blobs").
        let query = match algorithm {
            None => String::new(),
            Some(name) if Algorithm::from_name(name) == Some(Algorithm::Sha256) => String::new(),
            Some(name) => format!("?digest-algorithm={}", utf8_percent_encode(name, QUERY)),
        };
        let url = repository.url(&format!("blobs/uploads/{query}"))?;
        let request = Request::new(Method::POST, url, repository.push_scopes());
        let response = repository.attempt(&request).await?.expect(&[202])?;
        Ok(Self::at(&response, &repository.upload_capabilities())?)
    }

    /// Returns the session with the registry's offset; `None` if it has no such session or does not report the
    /// offset.
    pub(crate) async fn status(&self, repository: &Repository) -> Result<Option<Self>, FailedAttempt> {
        // Does not retry here: the caller counts each failure in the budget of the whole upload.
        let request = Request::new(Method::GET, self.location.clone(), repository.push_scopes());
        let response = repository.attempt(&request).await?;
        let offset = response.header(RANGE.as_str()).and_then(parse_offset);
        let (200 | 204, Some(offset)) = (response.status.as_u16(), offset) else { return Ok(None) };
        let mut session = Self { location: self.location.clone(), offset };
        session.update_location(&response)?;
        Ok(Some(session))
    }

    /// Sends the bytes of `range`, which begins at the offset of the session.
    pub(crate) async fn send_chunk(
        &mut self,
        repository: &Repository,
        payload: &Payload,
        range: Range<u64>,
    ) -> Result<(), FailedAttempt> {
        let end = range.end;
        let mut request = Request::new(Method::PATCH, self.location.clone(), repository.push_scopes())
            .header(CONTENT_TYPE, OCTET_STREAM)?;
        if !payload.is_all(&range) {
            // The range is inclusive and has no unit (distribution-spec, "Pushing a blob in chunks").
            request = request.header(CONTENT_RANGE, &format!("{}-{}", range.start, end.saturating_sub(1)))?;
        }
        let request = request.body(Body::Part(payload.clone(), range));
        let response = repository.attempt(&request).await?.expect(&[200, 201, 202, 204])?;
        Ok(self.update(&response, end)?)
    }

    /// Closes the session: with `body`, which has all bytes of the blob, or after the chunks with an empty body.
    pub(crate) async fn close(
        &self,
        repository: &Repository,
        body: Body,
        digest: &Digest,
    ) -> Result<(), FailedAttempt> {
        let url = with_digest(&self.location, digest);
        let request = Request::new(Method::PUT, url, repository.push_scopes())
            .header(CONTENT_TYPE, OCTET_STREAM)?
            .body(body);
        let response = repository.attempt(&request).await?.expect(&[200, 201, 204])?;
        Ok(check_digest(&response, digest)?)
    }

    /// Sends a blob with the `POST` (distribution-spec, "Single POST"). Returns `None` on success, or the session to
    /// use instead.
    pub(crate) async fn post(
        repository: &Repository,
        payload: &Payload,
        digest: &Digest,
    ) -> Result<Option<Self>> {
        let text = digest.to_string();
        let url = repository.url(&format!("blobs/uploads/?digest={}", utf8_percent_encode(&text, QUERY)))?;
        let request = Request::new(Method::POST, url, repository.push_scopes())
            .header(CONTENT_TYPE, OCTET_STREAM)?
            .body(Body::Part(payload.clone(), 0..payload.size()));
        let response = repository.send(&request).await?.expect(&[201, 202])?;
        if response.status == 202 {
            return Self::at(&response, &repository.upload_capabilities()).map(Some);
        }
        check_digest(&response, digest)?;
        Ok(None)
    }

    /// Deletes the session at the registry (distribution-spec main, "Canceling a blob upload"). Returns true if the
    /// registry confirms it. A failure is harmless, because sessions expire.
    pub(crate) async fn cancel(&self, repository: &Repository) -> bool {
        let request = Request::new(Method::DELETE, self.location.clone(), repository.push_scopes());
        // Cancelling often follows an error, and must not delay its report for long.
        let answered = timeout(CANCEL_TIMEOUT, repository.attempt(&request)).await;
        // A 404 means that the registry has already deleted the session.
        let is_gone =
            matches!(&answered, Ok(Ok(response)) if matches!(response.status.as_u16(), 200..=299 | 404));
        if !is_gone {
            tracing::debug!("an upload session was left to expire");
        }
        is_gone
    }
}

/// Returns the error response in a failure.
pub(crate) fn refusal(failed: &FailedAttempt) -> Option<&ResponseError> {
    failed.error.find::<ResponseError>()
}

/// Returns the number of stored bytes from a `Range: 0-9` of an upload. `0-0` counts as no bytes: if the registry
/// has one byte, the client sends it again.
fn parse_offset(range: &str) -> Option<u64> {
    let range = range.trim();
    let last = range.strip_prefix("bytes=").unwrap_or(range).strip_prefix("0-")?;
    match last.trim().parse::<u64>().ok()? {
        0 => Some(0),
        last => last.checked_add(1),
    }
}

/// Returns the location of a session. It may be on another host, which receives no credentials. HTTPS never changes
/// to HTTP.
fn location(response: &Response) -> Result<Url> {
    let invalid =
        |why: &str| response.bad(ErrorKind::InvalidContent, &format!("{why} Location of the upload"));
    let text = response.header(LOCATION.as_str()).ok_or_else(|| invalid("missing"))?;
    // An empty reference would resolve to the address of the request itself.
    if text.trim().is_empty() {
        return Err(invalid("empty"));
    }
    let location = response.url.join(text).map_err(|_| invalid("invalid"))?;
    if is_safe(&response.url, &location) {
        return Ok(location);
    }
    let why = format!("refusing to send content from {} to {}", response.url.scheme(), location.scheme());
    Err(response.bad(ErrorKind::Denied, &why))
}

/// Returns true if content may be sent to `location` on behalf of `registry`.
pub(crate) fn is_safe(registry: &Url, location: &Url) -> bool {
    matches!((registry.scheme(), location.scheme()), ("http", "http") | (_, "https"))
}

/// Returns the location with the digest at the end of its query, in place of any other digest.
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
    fn appends_digest_to_location() {
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
    fn parses_offset_of_upload() {
        for (range, expected) in [
            ("0-0", Some(0)),
            ("0-9", Some(10)),
            (" bytes=0-9 ", Some(10)),
            ("1-9", None),
            ("0-18446744073709551615", None),
            ("0--1", None),
            ("", None),
        ] {
            assert_eq!(parse_offset(range), expected, "{range}");
        }
    }
}
