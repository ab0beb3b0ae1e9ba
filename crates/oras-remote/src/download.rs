//! A blob as it comes: a transfer that breaks goes on where it stopped (distribution-spec, "Pulling blobs", Range).

use std::ops::Range;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use oras_spec::Descriptor;
use oras_store::{ByteStream, Error, Kind, Result};
use reqwest::Method;
use reqwest::header::{ACCEPT_ENCODING, RANGE};
use tokio::time::timeout;
use url::Url;

use crate::blobs::check_digest;
use crate::network;
use crate::repository::Repository;
use crate::request::{Answer, Request, Response};
use crate::retry::{Again, Failed};

/// The bytes of the blob `descriptor` within `range`.
pub(crate) async fn open(
    repository: &Repository,
    descriptor: &Descriptor,
    range: Range<u64>,
) -> Result<ByteStream> {
    if range.is_empty() && descriptor.size > 0 {
        return Ok(stream::empty().boxed());
    }
    let mut download = Download {
        url: repository.url(&format!("blobs/{}", descriptor.digest))?,
        repository: repository.clone(),
        descriptor: descriptor.clone(),
        whole: range == (0..descriptor.size),
        left: range,
        body: stream::empty().boxed(),
        skip: 0,
        stalled: 0,
    };
    download.request().await?;
    let next =
        |mut download: Download| async move { Ok(download.chunk().await?.map(|chunk| (chunk, download))) };
    Ok(stream::try_unfold(download, next).boxed())
}

struct Download {
    repository: Repository,
    url: Url,
    descriptor: Descriptor,
    /// Whether all of the blob is wanted: then it is read to its very end.
    whole: bool,
    /// What is still to come.
    left: Range<u64>,
    body: BoxStream<'static, reqwest::Result<Bytes>>,
    /// Bytes of the body before those that are wanted.
    skip: u64,
    /// Times the transfer broke since the last byte came.
    stalled: u32,
}

impl Download {
    /// Asks for what is left.
    async fn request(&mut self) -> Result<()> {
        let mut request = Request::new(Method::GET, self.url.clone(), self.repository.pull())
            .limit(None)
            .header(ACCEPT_ENCODING, "identity")?;
        if !self.whole || self.left.start > 0 {
            let range = format!("bytes={}-{}", self.left.start, self.left.end.saturating_sub(1));
            request = request.header(RANGE, &range)?;
        }
        // A redirect to a signed address may have expired: the registry is asked each time.
        let response = self.repository.client().send(self.repository.endpoint(), &request).await?;
        if response.status == 404 {
            return Err(Error::not_found(&self.descriptor.digest));
        }
        let response = response.expect(&[200, 206])?;
        self.skip = self.check(&response)?;
        if let Answer::Stream(http) = response.body {
            self.body = http.bytes_stream().boxed();
        }
        Ok(())
    }

    /// The number of bytes before those that are wanted.
    fn check(&self, response: &Response) -> Result<u64> {
        check_digest(response, &self.descriptor.digest)?;
        if response.status == 206 {
            let start = response.header("content-range").and_then(range_start);
            if start != Some(self.left.start) {
                return Err(response.bad(Kind::InvalidContent, "mismatch Content-Range"));
            }
            return Ok(0);
        }
        if response.content_length().is_some_and(|length| length != self.descriptor.size) {
            return Err(response.bad(Kind::SizeMismatch, "mismatch Content-Length"));
        }
        // The range was not heeded: this is the blob from its beginning.
        Ok(self.left.start)
    }

    async fn chunk(&mut self) -> Result<Option<Bytes>> {
        loop {
            // More bytes than described are for the reader to find, who has to be given them.
            if self.left.is_empty() && !self.whole {
                return Ok(None);
            }
            let idle = self.repository.client().options().idle_timeout;
            let failed = match timeout(idle, self.body.next()).await {
                Ok(Some(Ok(chunk))) => match self.wanted(chunk) {
                    chunk if chunk.is_empty() => continue,
                    chunk => return Ok(Some(chunk)),
                },
                // A short body is for the reader to find, too.
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => network::failed(&Method::GET, &self.url, &error),
                Err(_) => network::silent(&Method::GET, &self.url),
            };
            if self.left.is_empty() {
                return Ok(None);
            }
            self.resume(failed).await?;
        }
    }

    /// The part of a chunk that is wanted.
    fn wanted(&mut self, mut chunk: Bytes) -> Bytes {
        let skipped = usize::try_from(self.skip).map_or(chunk.len(), |skip| skip.min(chunk.len()));
        let mut chunk = chunk.split_off(skipped);
        self.skip -= skipped as u64;
        if !self.whole {
            let left = self.left.end.saturating_sub(self.left.start);
            chunk.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        }
        if !chunk.is_empty() {
            self.left.start += chunk.len() as u64;
            self.stalled = 0;
        }
        chunk
    }

    /// Goes on where the transfer broke, unless that is hopeless: the error is then that of the break.
    async fn resume(&mut self, failed: Failed) -> Result<()> {
        let policy = self.repository.client().options().retry;
        if failed.again == Again::Never || self.stalled >= policy.retries {
            return Err(failed.error);
        }
        tracing::debug!(error = %failed.error, offset = self.left.start, "resuming a download");
        tokio::time::sleep(policy.wait(self.stalled)).await;
        self.stalled += 1;
        self.request().await.map_err(|error| {
            tracing::debug!(%error, "could not resume");
            failed.error
        })
    }
}

/// The first byte in a `Content-Range`.
fn range_start(text: &str) -> Option<u64> {
    text.trim().strip_prefix("bytes")?.trim_start().split_once('-')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::range_start;

    #[test]
    fn content_ranges() {
        for (text, expected) in [
            ("bytes 5-9/10", Some(5)),
            ("bytes 0-0/*", Some(0)),
            ("bytes */10", None),
            ("items 5-9/10", None),
            ("", None),
        ] {
            assert_eq!(range_start(text), expected, "{text}");
        }
    }
}
