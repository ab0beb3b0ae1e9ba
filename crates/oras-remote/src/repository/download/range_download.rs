//! A part of a blob over one connection: a transfer that breaks goes on where it stopped.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use futures::stream::{self, StreamExt};
use oras_store::{Error, Kind, Result};
use reqwest::Method;
use reqwest::header::ETAG;
use tokio::time::timeout;

use super::Blob;
use super::answer::{content_range, strong, unsatisfied};
use crate::blobs::check_digest;
use crate::encoding::{DecodedBody, Encodings};
use crate::network;
use crate::pool::Lease;
use crate::request::{Answer, Response};
use crate::response::ResponseError;
use crate::retry::{Again, Failed};

/// Bytes of a small blob that may come again in vain; of a bigger one as many as it has.
const MAX_SKIPPED: u64 = 32 << 20;
/// A transfer that breaks after so many bytes is gone on with at once.
const MUCH: u64 = 8 << 20;

pub(super) struct Run {
    blob: Arc<Blob>,
    /// Whether all of the blob is wanted: then it is read to its very end.
    whole: bool,
    /// Whether nothing but the part that was asked for will do.
    strict: bool,
    /// What is still to come.
    left: Range<u64>,
    /// `None` until it was asked for.
    body: Option<DecodedBody>,
    /// The connections that the body comes by.
    lease: Option<Lease>,
    /// Whether the body is of a part.
    partial: bool,
    /// Bytes of the body before those that are wanted.
    skip: u64,
    /// Times the transfer broke since the last byte came.
    stalled: u32,
    /// Bytes that came since it broke last.
    came: u64,
}

impl Run {
    pub(super) fn new(blob: Arc<Blob>, range: Range<u64>) -> Self {
        let whole = range == (0..blob.descriptor.size);
        Self {
            blob,
            whole,
            strict: false,
            left: range,
            body: None,
            lease: None,
            partial: false,
            skip: 0,
            stalled: 0,
            came: 0,
        }
    }

    /// One part among several: asks when it is first read, where the registry led last, and fails when the server sends
    /// no parts.
    pub(super) fn part(blob: Arc<Blob>, range: Range<u64>) -> Self {
        Self { whole: false, strict: true, ..Self::new(blob, range) }
    }

    pub(super) fn blob(&self) -> &Arc<Blob> {
        &self.blob
    }

    /// What is still to come.
    pub(super) fn left(&self) -> Range<u64> {
        self.left.clone()
    }

    pub(super) fn remaining(&self) -> u64 {
        self.left.end.saturating_sub(self.left.start)
    }

    /// Asks for what is left.
    pub(super) async fn request(&mut self) -> Result<()> {
        let mut ranged = !self.whole || self.left.start > 0;
        let blob = Arc::clone(&self.blob);
        let mut response = blob.ask(ranged.then(|| self.left.clone()), self.strict).await?;
        if response.status == 416 && ranged {
            let told = response.header("content-range").and_then(unsatisfied);
            if told.is_some_and(|size| size != self.blob.descriptor.size) {
                return Err(response.bad(Kind::InvalidContent, "the size of the blob changed"));
            }
            self.refuse_ranges(&response)?;
            ranged = false;
            response = blob.ask(None, false).await?;
        }
        if response.status == 206 && ranged && self.is_part_of_encoded(&response) {
            self.refuse_ranges(&response)?;
            ranged = false;
            response = blob.ask(None, false).await?;
        }
        if response.status == 404 {
            return Err(Error::not_found(&self.blob.descriptor.digest));
        }
        let response = response.expect(&[200, 206])?;
        let encodings = self.encodings(&response);
        self.skip = self.check(&response, ranged)?;
        self.partial = response.status == 206;
        if !ranged && response.header("accept-ranges").is_some_and(|text| text.trim() == "none") {
            self.blob.connections.has_no_ranges();
        }
        self.blob.set_direct((response.url != self.blob.url).then(|| response.url.clone()));
        self.lease = Some(response.lease);
        self.body = match response.body {
            Answer::Stream(http) => Some(encodings.decode(http, blob.descriptor.size)),
            Answer::Long(_) | Answer::Whole(_) => Some(stream::empty().boxed()),
        };
        Ok(())
    }

    /// The encodings to take off: none where the server only says how the blob itself was made, as storage does that was
    /// told so when the blob came. Its length is then that of the blob.
    fn encodings(&self, response: &Response) -> Encodings {
        let length = response.header("content-length").and_then(|text| text.trim().parse::<u64>().ok());
        let is_raw = response.status == 206 || length == Some(self.blob.descriptor.size);
        if is_raw { Encodings::default() } else { response.encodings() }
    }

    /// Returns true for a part of what the server made of the blob, which can't be decoded.
    fn is_part_of_encoded(&self, response: &Response) -> bool {
        let told = response.header("content-range").and_then(content_range);
        let is_whole_blob = told.is_some_and(|(_, size)| size == Some(self.blob.descriptor.size));
        !response.encodings().is_empty() && !is_whole_blob
    }

    /// The number of bytes before those that are wanted.
    fn check(&self, response: &Response, ranged: bool) -> Result<u64> {
        let descriptor = &self.blob.descriptor;
        check_digest(response, &descriptor.digest)?;
        self.check_validator(response)?;
        if response.status == 206 {
            let told = response.header("content-range").and_then(content_range);
            let right = told.is_some_and(|(range, size)| {
                range == self.left && size.is_none_or(|size| size == descriptor.size)
            });
            if !ranged || !right {
                return Err(response.bad(Kind::InvalidContent, "mismatch Content-Range"));
            }
            return Ok(0);
        }
        if response.content_length().is_some_and(|length| length != descriptor.size) {
            return Err(response.bad(Kind::SizeMismatch, "mismatch Content-Length"));
        }
        // The range was not heeded: this is the blob from its beginning.
        if ranged {
            self.refuse_ranges(response)?;
        }
        Ok(self.left.start)
    }

    /// Remembers that the server sends no parts; an error for those who can use nothing else.
    fn refuse_ranges(&self, response: &Response) -> Result<()> {
        self.blob.connections.has_no_ranges();
        if self.strict {
            return Err(response.bad(Kind::Unsupported, "the server sends no parts of blobs"));
        }
        Ok(())
    }

    /// Sees that the answer is about the same bytes as the first one.
    fn check_validator(&self, response: &Response) -> Result<()> {
        let Some(told) = response.header(ETAG.as_str()).and_then(strong) else { return Ok(()) };
        let mut known = self.blob.validator.lock();
        if known.get_or_insert_with(|| told.to_owned()) == told {
            return Ok(());
        }
        Err(response.bad(Kind::InvalidContent, "the blob changed during the download (another ETag)"))
    }

    /// The next bytes.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>> {
        loop {
            // More bytes than described are for the reader to find, who has to be given them.
            if self.left.is_empty() && !self.whole {
                return Ok(None);
            }
            let Some(body) = &mut self.body else {
                self.request().await?;
                continue;
            };
            let idle = self.blob.repository.client().options().idle_timeout;
            let failed = match timeout(idle, body.next()).await {
                Ok(Some(Ok(chunk))) => {
                    let came = chunk.len();
                    let chunk = self.wanted(chunk)?;
                    if !chunk.is_empty() {
                        return Ok(Some(chunk));
                    }
                    // Nobody else counts what is skipped.
                    if let Some(limit) = &self.blob.repository.client().options().limit_rate {
                        limit.spend(came).await;
                    }
                    continue;
                }
                Ok(None) if self.partial && !self.left.is_empty() => {
                    network::short(&Method::GET, &self.blob.url)
                }
                // A short body is for the reader to find, too.
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => error.into_failed(&Method::GET, &self.blob.url),
                Err(_) => {
                    if let Some(lease) = &self.lease {
                        self.blob.repository.client().discard(lease);
                    }
                    network::silent(&Method::GET, &self.blob.url)
                }
            };
            if self.left.is_empty() {
                return Ok(None);
            }
            self.resume(failed).await?;
        }
    }

    /// The part of a chunk that is wanted.
    fn wanted(&mut self, mut chunk: Bytes) -> Result<Bytes> {
        let skipped = usize::try_from(self.skip).map_or(chunk.len(), |skip| skip.min(chunk.len()));
        let mut chunk = chunk.split_off(skipped);
        if skipped > 0 {
            self.skip -= skipped as u64;
            let total = self.blob.skipped.fetch_add(skipped as u64, Ordering::Relaxed) + skipped as u64;
            if total > self.blob.descriptor.size.max(MAX_SKIPPED) {
                let message = format!(
                    "{}: the transfer broke again and the registry sends no parts of blobs, so that it would begin anew",
                    self.blob.descriptor.digest
                );
                return Err(Error::new(Kind::Network, message));
            }
        }
        if !self.whole {
            chunk.truncate(usize::try_from(self.remaining()).unwrap_or(usize::MAX));
        }
        if !chunk.is_empty() {
            self.left.start += chunk.len() as u64;
            self.stalled = 0;
            self.came += chunk.len() as u64;
        }
        Ok(chunk)
    }

    /// Goes on where the transfer broke, unless that is hopeless: the error is then that of the break, or that the
    /// content is another one by now.
    async fn resume(&mut self, failed: Failed) -> Result<()> {
        let policy = self.blob.repository.client().options().retry;
        if failed.again == Again::Never || self.stalled >= policy.retries {
            return Err(failed.error);
        }
        tracing::debug!(error = %failed.error, offset = self.left.start, "resuming a download");
        self.blob.connections.pushed_back();
        // Where so much came, more will: a server that is in trouble sends less, and is left alone for a while.
        if self.came < MUCH {
            tokio::time::sleep(policy.wait(self.stalled)).await;
        }
        self.came = 0;
        self.stalled += 1;
        self.request().await.map_err(|error| {
            tracing::debug!(%error, "could not resume");
            let answered = error.find::<ResponseError>().is_some();
            match error.kind() {
                Kind::InvalidContent | Kind::Unsupported if !answered => error,
                _ => failed.error,
            }
        })
    }
}
