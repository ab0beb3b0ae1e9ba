//! Bodies of answers: read whole, streamed, or no further than they are needed.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::stream::{self, StreamExt, TryStreamExt};
use oras_store::{Error, Kind};
use parking_lot::Mutex;
use reqwest::Method;
use reqwest::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use tokio::time::{Instant, timeout, timeout_at};
use url::Url;

use crate::encoding::{DecodedBody, Encodings};
use crate::network;
use crate::request::{Answer, Request};
use crate::response::redact;
use crate::retry::Failed;

/// Bytes that are read of the body of an error, or of one that nobody needs.
const MAX_UNNEEDED: u64 = 8 * 1024;
/// How long the body of an error may take.
const ERROR_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a body that nobody needs may take, and how long to wait for more of an error that only the end of the
/// connection can end.
const OPEN_END_TIMEOUT: Duration = Duration::from_secs(1);
/// The beginning of a list that is kept in memory: nearly all lists are shorter.
const LIST_BEGINNING: u64 = 256 << 10;

/// Reads as much of the body of `http` as `request` needs.
pub(crate) async fn read(
    http: reqwest::Response,
    request: &Request,
    url: &Url,
    idle: Duration,
) -> Result<Answer, Failed> {
    let is_success = http.status().is_success();
    let is_needed = is_success && request.needs_answer_body();
    let encodings = Encodings::of(http.headers());
    match request.limit {
        _ if !is_needed => Ok(Answer::Whole(unneeded(http, &encodings, is_success).await)),
        Some(limit) => {
            let body = encodings.decode(http, limit);
            match request.is_list {
                true => list(body, idle, (&request.method, url)).await,
                false => whole(body, limit, idle, (&request.method, url)).await.map(Answer::Whole),
            }
        }
        None => Ok(Answer::Stream(http)),
    }
}

/// Reads the beginning of the body of an error, for what it says.
pub(crate) async fn error_text(http: reqwest::Response) -> Bytes {
    let encodings = Encodings::of(http.headers());
    unneeded(http, &encodings, false).await
}

/// A whole body, at most `limit` bytes.
async fn whole(
    mut body: DecodedBody,
    limit: u64,
    idle: Duration,
    (method, url): (&Method, &Url),
) -> Result<Bytes, Failed> {
    let mut bytes = BytesMut::new();
    loop {
        let next = timeout(idle, body.try_next()).await.map_err(|_| network::silent(method, url))?;
        match next.map_err(|error| error.into_failed(method, url))? {
            None => return Ok(bytes.freeze()),
            Some(chunk) if (bytes.len() + chunk.len()) as u64 > limit => {
                return Err(too_large(method, url, limit).into());
            }
            Some(chunk) => bytes.extend_from_slice(&chunk),
        }
    }
}

/// The error for an answer of more than `limit` bytes.
pub(crate) fn too_large(method: &Method, url: &Url, limit: u64) -> Error {
    let message = format!(
        "{method} \"{}\": the answer exceeds the limit of {limit} bytes: size exceeds limit",
        redact(url)
    );
    Error::new(Kind::TooLarge, message)
}

/// A list: whole if it is short, else its beginning followed by what is still to come.
async fn list(
    mut body: DecodedBody,
    idle: Duration,
    (method, url): (&Method, &Url),
) -> Result<Answer, Failed> {
    let mut bytes = BytesMut::new();
    while bytes.len() as u64 <= LIST_BEGINNING {
        let next = timeout(idle, body.try_next()).await.map_err(|_| network::silent(method, url))?;
        match next.map_err(|error| error.into_failed(method, url))? {
            None => return Ok(Answer::Whole(bytes.freeze())),
            Some(chunk) => bytes.extend_from_slice(&chunk),
        }
    }
    let body = stream::iter([Ok(bytes.freeze())]).chain(body).boxed();
    Ok(Answer::Long(Mutex::new(body)))
}

/// As much of a body as comes soon, up to [`MAX_UNNEEDED`] bytes. What an error says beyond that is not worth reading;
/// the body of a success is read so that the connection can be used again, and only if it has an end.
async fn unneeded(http: reqwest::Response, encodings: &Encodings, is_success: bool) -> Bytes {
    let headers = http.headers();
    let has_end = headers.contains_key(CONTENT_LENGTH)
        || headers.contains_key(TRANSFER_ENCODING)
        || http.version() == reqwest::Version::HTTP_2;
    let is_error = !is_success && !http.status().is_redirection();
    if !has_end && !is_error {
        return Bytes::new();
    }
    let mut bytes = BytesMut::new();
    let deadline = Instant::now() + if is_error { ERROR_TIMEOUT } else { OPEN_END_TIMEOUT };
    let mut body = encodings.decode(http, MAX_UNNEEDED);
    loop {
        let until = if has_end { deadline } else { deadline.min(Instant::now() + OPEN_END_TIMEOUT) };
        let Ok(Ok(Some(chunk))) = timeout_at(until, body.try_next()).await else { break };
        bytes.extend_from_slice(&chunk);
        if bytes.len() as u64 >= MAX_UNNEEDED {
            bytes.truncate(usize::try_from(MAX_UNNEEDED).unwrap_or(usize::MAX));
            break;
        }
    }
    bytes.freeze()
}
