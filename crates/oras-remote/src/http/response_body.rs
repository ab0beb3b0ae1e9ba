//! Reads the bodies of answers as far as they are needed.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;
use oras_store::ErrorKind;
use reqwest::Method;
use reqwest::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use tokio::time::{Instant, timeout, timeout_at};
use url::Url;

use crate::http::content_encoding::{DecodedBody, Encodings};
use crate::http::network_error;
use crate::http::request::Request;
use crate::http::response::ResponseBody;
use crate::http::response_error::request_error;
use crate::http::retry::FailedAttempt;

/// The most bytes that are read of an error, or of a body that is not needed.
const MAX_UNNEEDED: u64 = 8 * 1024;
/// Timeout of reading the body of an error.
const ERROR_TIMEOUT: Duration = Duration::from_secs(10);
/// Timeout for reading a body that is not needed. Also the longest wait for each chunk of an error body whose headers
/// don't show where it ends.
const OPEN_END_TIMEOUT: Duration = Duration::from_secs(1);

/// Reads as much of the body of `http` as `request` needs.
pub(crate) async fn read(
    http: reqwest::Response,
    request: &Request,
    url: &Url,
    idle: Duration,
) -> Result<ResponseBody, FailedAttempt> {
    let is_success = http.status().is_success();
    let is_needed = is_success && request.needs_answer_body();
    let encodings = Encodings::of(http.headers());
    match request.limit {
        _ if !is_needed => Ok(ResponseBody::Whole(read_unneeded(http, &encodings, is_success).await)),
        Some(limit) => {
            let body = encodings.decode(http, limit);
            whole(body, limit, idle, (&request.method, url)).await.map(ResponseBody::Whole)
        }
        None => Ok(ResponseBody::Stream(http)),
    }
}

/// Reads the beginning of the body of an error.
pub(crate) async fn error_text(http: reqwest::Response) -> Bytes {
    let encodings = Encodings::of(http.headers());
    read_unneeded(http, &encodings, false).await
}

/// Reads a whole body of at most `limit` bytes.
async fn whole(
    mut body: DecodedBody,
    limit: u64,
    idle: Duration,
    (method, url): (&Method, &Url),
) -> Result<Bytes, FailedAttempt> {
    let mut bytes = BytesMut::new();
    loop {
        let next = timeout(idle, body.try_next()).await.map_err(|_| network_error::timeout(method, url))?;
        match next.map_err(|error| error.into_failed(method, url))? {
            None => return Ok(bytes.freeze()),
            Some(chunk) if (bytes.len() + chunk.len()) as u64 > limit => {
                let why = format!("the answer exceeds the limit of {limit} bytes: size exceeds limit");
                return Err(request_error(ErrorKind::TooLarge, method, url, &why).into());
            }
            Some(chunk) => bytes.extend_from_slice(&chunk),
        }
    }
}

/// Reads the bytes that arrive before a short deadline, up to [`MAX_UNNEEDED`]. They suffice for the message of an
/// error. The body of a success is read only so that the connection can be reused, and only if its headers show where
/// it ends.
async fn read_unneeded(http: reqwest::Response, encodings: &Encodings, is_success: bool) -> Bytes {
    let headers = http.headers();
    let has_end = headers.contains_key(CONTENT_LENGTH)
        || headers.contains_key(TRANSFER_ENCODING)
        || http.version() == reqwest::Version::HTTP_2;
    let is_error = !is_success && !http.status().is_redirection();
    // Such a body ends with the connection, so reading it would not make the connection reusable.
    if !has_end && !is_error {
        return Bytes::new();
    }
    let mut bytes = BytesMut::new();
    let deadline = Instant::now() + if is_error { ERROR_TIMEOUT } else { OPEN_END_TIMEOUT };
    let mut body = encodings.decode(http, MAX_UNNEEDED);
    loop {
        let until = if has_end { deadline } else { deadline.min(Instant::now() + OPEN_END_TIMEOUT) };
        // A broken or slow error body is truncated: its beginning is more useful than an error about the body.
        let Ok(Ok(Some(chunk))) = timeout_at(until, body.try_next()).await else { break };
        bytes.extend_from_slice(&chunk);
        if bytes.len() as u64 >= MAX_UNNEEDED {
            bytes.truncate(usize::try_from(MAX_UNNEEDED).unwrap_or(usize::MAX));
            break;
        }
    }
    bytes.freeze()
}
