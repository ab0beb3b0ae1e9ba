//! Enforces the progress of an upload: the request times out if the server reads no bytes for the idle timeout.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use oras_store::{ByteStream, Error, ErrorKind, Result};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::http::bandwidth_limit::RateLimit;
use crate::http::payload::Payload;

/// After all bytes were sent, the timeout is multiplied by this factor, because a registry stores the bytes before it
/// answers.
const ANSWER_TIMEOUTS: u32 = 2;

/// The timeout for the answer grows by one second for each block of this many bytes in the request.
const STORED_PER_SECOND: u64 = 16 << 20;

/// Detects uploads without progress, and keeps the error of content that could not be read.
pub(crate) struct UploadWatchdog {
    progress: Mutex<Progress>,
    error: Mutex<Option<Error>>,
}

struct Progress {
    moved: Instant,
    /// The longest time without progress.
    timeout: Duration,
}

impl UploadWatchdog {
    pub(crate) fn new(timeout: Duration) -> Self {
        Self { progress: Mutex::new(Progress { moved: Instant::now(), timeout }), error: Mutex::new(None) }
    }

    pub(crate) fn moved(&self) {
        self.progress.lock().moved = Instant::now();
    }

    /// Records that all `length` bytes of a body were sent, so that only the answer is outstanding.
    fn sent_all(&self, length: u64) {
        let mut progress = self.progress.lock();
        progress.moved = Instant::now();
        progress.timeout =
            progress.timeout * ANSWER_TIMEOUTS + Duration::from_secs(length / STORED_PER_SECOND);
    }

    fn deadline(&self) -> Instant {
        let progress = self.progress.lock();
        progress.moved + progress.timeout
    }

    pub(crate) fn take_error(&self) -> Option<Error> {
        self.error.lock().take()
    }

    /// Returns the result of `work`, or `None` after a timeout without progress.
    pub(crate) async fn guard<F: Future>(&self, work: F) -> Option<F::Output> {
        let mut work = std::pin::pin!(work);
        loop {
            // Progress moves the deadline, so after a timeout it is compared again.
            if let Ok(done) = tokio::time::timeout_at(self.deadline(), &mut work).await {
                return Some(done);
            }
            if self.deadline() <= Instant::now() {
                return None;
            }
        }
    }
}

/// Streams the bytes of `payload` within `range`. Fails if the payload is shorter or longer than its size.
pub(crate) async fn watched_stream(
    payload: &Payload,
    range: Range<u64>,
    watch: Arc<UploadWatchdog>,
) -> Result<ByteStream> {
    let (size, length) = (payload.size(), range.end.saturating_sub(range.start));
    let is_last = range.end == size;
    let stream = payload.open(range).await?;
    let next = move |state: Option<(ByteStream, u64)>| {
        let watch = Arc::clone(&watch);
        async move {
            let (mut stream, left) = state?;
            // A chunk ends here. After the last byte of the whole blob, the stream is read to its end to detect extra
            // bytes.
            if left == 0 && !is_last {
                return None;
            }
            let item = match stream.next().await {
                Some(Ok(chunk)) if chunk.len() as u64 <= left => Ok(chunk),
                Some(Ok(chunk)) if !is_last => Ok(chunk.slice(..usize::try_from(left).unwrap_or(0))),
                Some(Ok(_)) => Err(Error::new(
                    ErrorKind::SizeMismatch,
                    format!("content is longer than its {size} bytes: trailing data"),
                )),
                Some(Err(error)) => Err(error),
                None if left == 0 => return None,
                None => Err(Error::new(
                    ErrorKind::SizeMismatch,
                    format!("content is shorter than its {size} bytes: unexpected EOF"),
                )),
            };
            // hyper reads the next chunk only when it can send it, so each read is progress.
            watch.moved();
            match item {
                Ok(chunk) => {
                    let left = left - chunk.len() as u64;
                    if left == 0 {
                        watch.sent_all(length);
                    }
                    Some((Ok(chunk), Some((stream, left))))
                }
                Err(error) => {
                    // reqwest would wrap the error and hide its kind, so the watchdog stores it separately.
                    let cause = Error::new(error.kind(), "content could not be read");
                    *watch.error.lock() = Some(error);
                    Some((Err(cause), None))
                }
            }
        }
    };
    Ok(futures::stream::unfold(Some((stream, length)), next).boxed())
}

/// Splits the stream into small chunks, and delays each chunk until the rate limit permits it.
pub(crate) fn rate_limited(stream: ByteStream, limit: RateLimit, watch: Arc<UploadWatchdog>) -> ByteStream {
    let next = move |(mut stream, mut rest): (ByteStream, Bytes)| {
        let (limit, watch) = (limit.clone(), Arc::clone(&watch));
        async move {
            while rest.is_empty() {
                let Some(next) = stream.try_next().await? else { return Ok(None) };
                rest = next;
            }
            let chunk = limit.split_chunk(&mut rest);
            limit.spend(chunk.len()).await;
            // Waiting for the rate limit is not a stall.
            watch.moved();
            Ok(Some((chunk, (stream, rest))))
        }
    };
    futures::stream::try_unfold((stream, Bytes::new()), next).boxed()
}
