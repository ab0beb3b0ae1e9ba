//! Downloads a range of a blob over one connection, and resumes it after a failure.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use futures::stream::{self, StreamExt};
use oras_store::{Error, ErrorKind, Result};
use reqwest::Method;
use reqwest::header::ETAG;
use tokio::time::timeout;

use crate::connection::connection_pool::Lease;
use crate::http::content_encoding::{DecodedBody, Encodings};
use crate::http::network_error;
use crate::http::response::{Response, ResponseBody};
use crate::http::response_error::ResponseError;
use crate::http::retry::{FailedAttempt, RetryAdvice};
use crate::repository::download::blob_source::BlobSource;
use crate::repository::download::content_range::{content_range, strong_etag, unsatisfied_range_size};
use crate::repository::response_checks::check_digest;

/// The maximum number of bytes that the retries for one blob skip, or the size of the blob if that is larger.
const MAX_SKIPPED: u64 = 32 << 20;
/// If this many bytes arrived since the last failure, a broken transfer is resumed without delay.
const FAST_RESUME_BYTES: u64 = 8 << 20;

pub(crate) struct RangeDownload {
    blob: Arc<BlobSource>,
    /// Whether the whole blob is requested. Then the body is read to its end, to detect extra bytes.
    is_whole: bool,
    /// Whether only a partial response (206) is acceptable.
    is_strict: bool,
    /// The range that is still missing.
    left: Range<u64>,
    /// `None` before the first request.
    body: Option<DecodedBody>,
    /// The connection of the body.
    lease: Option<Lease>,
    /// Whether the body is a partial answer.
    is_partial: bool,
    /// Bytes at the start of the body that are skipped.
    skip: u64,
    /// Failures since the last byte arrived.
    stalled: u32,
    /// Bytes that arrived since the last failure.
    received: u64,
}

impl RangeDownload {
    pub(crate) fn new(blob: Arc<BlobSource>, range: Range<u64>) -> Self {
        let is_whole = range == (0..blob.descriptor.size);
        Self {
            blob,
            is_whole,
            is_strict: false,
            left: range,
            body: None,
            lease: None,
            is_partial: false,
            skip: 0,
            stalled: 0,
            received: 0,
        }
    }

    /// Creates the download of one part. It sends its request when it is first read, to the last redirect target, and
    /// fails if the server does not support ranges.
    pub(crate) fn part(blob: Arc<BlobSource>, range: Range<u64>) -> Self {
        Self { is_whole: false, is_strict: true, ..Self::new(blob, range) }
    }

    pub(crate) fn blob(&self) -> &Arc<BlobSource> {
        &self.blob
    }

    /// Returns the range that is still missing.
    pub(crate) fn left(&self) -> Range<u64> {
        self.left.clone()
    }

    pub(crate) fn remaining(&self) -> u64 {
        self.left.end.saturating_sub(self.left.start)
    }

    /// Requests the missing range.
    pub(crate) async fn request(&mut self) -> Result<()> {
        let mut has_range = !self.is_whole || self.left.start > 0;
        let blob = Arc::clone(&self.blob);
        let mut response = blob.request(has_range.then(|| self.left.clone()), self.is_strict).await?;
        // The range is within the blob, so a 416 means that the blob's size changed or that ranges are unsupported.
        let is_unsatisfied = response.status == 416 && has_range;
        if is_unsatisfied {
            let stated = response.header("content-range").and_then(unsatisfied_range_size);
            if stated.is_some_and(|size| size != self.blob.descriptor.size) {
                return Err(response.bad(ErrorKind::InvalidContent, "the size of the blob changed"));
            }
        }
        // A part of a compressed body can't be decoded. The whole body can.
        if is_unsatisfied || (response.status == 206 && has_range && self.is_part_of_encoded(&response)) {
            self.refuse_ranges(&response)?;
            has_range = false;
            response = blob.request(None, false).await?;
        }
        if response.status == 404 {
            return Err(response.not_found(&self.blob.descriptor.digest));
        }
        let response = response.expect(&[200, 206])?;
        let encodings = self.encodings(&response);
        self.skip = self.check(&response, has_range)?;
        self.is_partial = response.status == 206;
        if !has_range && response.header("accept-ranges").is_some_and(|text| text.trim() == "none") {
            self.blob.connections.disable_ranges();
        }
        // Later parts are requested from the redirect target, which saves one request for each part.
        *self.blob.direct.lock() = (response.url != self.blob.url).then(|| response.url.clone());
        self.lease = Some(response.lease);
        self.body = match response.body {
            ResponseBody::Stream(http) => Some(encodings.decode(http, blob.descriptor.size)),
            ResponseBody::Whole(_) => Some(stream::empty().boxed()),
        };
        Ok(())
    }

    /// Returns the encodings to decode. Storage services may send an encoding that describes the blob itself: then
    /// the content length is the size of the blob, and nothing is decoded.
    fn encodings(&self, response: &Response) -> Encodings {
        let length = response.header("content-length").and_then(|text| text.trim().parse::<u64>().ok());
        let is_raw = response.status == 206 || length == Some(self.blob.descriptor.size);
        if is_raw { Encodings::default() } else { response.encodings() }
    }

    /// Returns true if the response is a part of an encoded body, which can't be decoded.
    fn is_part_of_encoded(&self, response: &Response) -> bool {
        let stated = response.header("content-range").and_then(content_range);
        let is_whole_blob = stated.is_some_and(|(_, size)| size == Some(self.blob.descriptor.size));
        !response.encodings().is_empty() && !is_whole_blob
    }

    /// Checks an answer, and returns the number of bytes to skip.
    fn check(&self, response: &Response, has_range: bool) -> Result<u64> {
        let descriptor = &self.blob.descriptor;
        check_digest(response, &descriptor.digest)?;
        self.check_validator(response)?;
        if response.status == 206 {
            let stated = response.header("content-range").and_then(content_range);
            let matches = stated.is_some_and(|(range, size)| {
                // The bytes of a different range would be written at a wrong offset.
                range == self.left && size.is_none_or(|size| size == descriptor.size)
            });
            if !has_range || !matches {
                return Err(response.bad(ErrorKind::InvalidContent, "mismatch Content-Range"));
            }
            return Ok(0);
        }
        if response.content_length().is_some_and(|length| length != descriptor.size) {
            return Err(response.bad(ErrorKind::SizeMismatch, "mismatch Content-Length"));
        }
        // The server ignored the range and sends the whole blob.
        if has_range {
            self.refuse_ranges(response)?;
        }
        Ok(self.left.start)
    }

    /// Records that the server does not support ranges. Fails if only a partial response is acceptable.
    fn refuse_ranges(&self, response: &Response) -> Result<()> {
        self.blob.connections.disable_ranges();
        if self.is_strict {
            return Err(response.bad(ErrorKind::Unsupported, "the server sends no parts of blobs"));
        }
        Ok(())
    }

    /// Checks that the strong ETag of the response, if it has one, is the same as in earlier responses.
    fn check_validator(&self, response: &Response) -> Result<()> {
        let Some(stated) = response.header(ETAG.as_str()).and_then(strong_etag) else { return Ok(()) };
        let mut known = self.blob.validator.lock();
        if known.get_or_insert_with(|| stated.to_owned()) == stated {
            return Ok(());
        }
        Err(response.bad(ErrorKind::InvalidContent, "the blob changed during the download (another ETag)"))
    }

    /// Returns the next bytes.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>> {
        loop {
            // If the whole blob was requested, the body is read to its end, so that the reader detects extra bytes.
            if self.left.is_empty() && !self.is_whole {
                return Ok(None);
            }
            let Some(body) = &mut self.body else {
                self.request().await?;
                continue;
            };
            let idle = self.blob.repository.client().options().idle_timeout;
            let failed = match timeout(idle, body.next()).await {
                Ok(Some(Ok(chunk))) => {
                    let received = chunk.len();
                    let chunk = self.wanted(chunk)?;
                    if !chunk.is_empty() {
                        return Ok(Some(chunk));
                    }
                    // Skipped bytes are not delivered, so they are counted here.
                    if let Some(limit) = &self.blob.repository.client().options().limit_rate {
                        limit.spend(received).await;
                    }
                    continue;
                }
                Ok(None) if self.is_partial && !self.left.is_empty() => {
                    network_error::unexpected_eof(&Method::GET, &self.blob.url)
                }
                // The reader reports a body that is too short.
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => error.into_failed(&Method::GET, &self.blob.url),
                Err(_) => {
                    // A stalled connection would stall a retry as well, so it leaves the pool.
                    if let Some(lease) = &self.lease {
                        self.blob.repository.client().pools().discard(lease);
                    }
                    network_error::timeout(&Method::GET, &self.blob.url)
                }
            };
            if self.left.is_empty() {
                return Ok(None);
            }
            self.resume(failed).await?;
        }
    }

    /// Returns the part of a chunk that was requested.
    fn wanted(&mut self, mut chunk: Bytes) -> Result<Bytes> {
        let skipped = usize::try_from(self.skip).map_or(chunk.len(), |skip| skip.min(chunk.len()));
        let mut chunk = chunk.split_off(skipped);
        if skipped > 0 {
            self.skip -= skipped as u64;
            let total = self.blob.skipped.fetch_add(skipped as u64, Ordering::Relaxed) + skipped as u64;
            // Without ranges, each retry starts at the first byte. The limit prevents endless retries.
            if total > self.blob.descriptor.size.max(MAX_SKIPPED) {
                let message = format!(
                    "{}: the transfer broke again and the registry sends no parts of blobs, so that it would begin anew",
                    self.blob.descriptor.digest
                );
                return Err(Error::new(ErrorKind::Network, message));
            }
        }
        if !self.is_whole {
            chunk.truncate(usize::try_from(self.remaining()).unwrap_or(usize::MAX));
        }
        if !chunk.is_empty() {
            self.left.start += chunk.len() as u64;
            // Progress resets the retries: a long transfer may break many times.
            self.stalled = 0;
            self.received += chunk.len() as u64;
        }
        Ok(chunk)
    }

    /// Resumes after a failure. Fails with the original error, or with one about changed content or missing ranges.
    async fn resume(&mut self, failed: FailedAttempt) -> Result<()> {
        let policy = self.blob.repository.client().options().retry;
        if failed.advice == RetryAdvice::Never || self.stalled >= policy.retries {
            return Err(failed.error);
        }
        tracing::debug!(error = %failed.error, offset = self.left.start, "resuming a download");
        // A broken connection may be a sign of overload.
        self.blob.connections.pushed_back();
        // A server that sent this much is healthy. After fewer bytes, the client waits first.
        if self.received < FAST_RESUME_BYTES {
            tokio::time::sleep(policy.delay(self.stalled)).await;
        }
        self.received = 0;
        self.stalled += 1;
        self.request().await.map_err(|error| {
            tracing::debug!(%error, "could not resume");
            // These two kinds say why the download can't resume. Any other error would hide the original cause.
            let answered = error.find::<ResponseError>().is_some();
            match error.kind() {
                ErrorKind::InvalidContent | ErrorKind::Unsupported if !answered => error,
                _ => failed.error,
            }
        })
    }
}
