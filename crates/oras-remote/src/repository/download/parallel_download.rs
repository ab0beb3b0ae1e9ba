//! Downloads a blob in equal parts over several connections and delivers them in order. A window of the blob bounds the
//! memory.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt};
use futures::stream::{FuturesOrdered, StreamExt};
use oras_store::{Error, ErrorKind, Result};
use tokio::time::{Duration, timeout};

use crate::connection::connection_budget::ConnectionPermit;
use crate::repository::download::blob_source::BlobSource;
use crate::repository::download::range_download::RangeDownload;

/// The size of the largest part.
const MAX_PART: u64 = 4 << 20;
/// If nothing of a part arrives for this time, the client requests the rest of the part again, because all later parts
/// wait for it. The time is four times as long after each such request.
const STALL_TIMEOUT: Duration = Duration::from_secs(2);

pub(crate) struct ParallelTransfer {
    blob: Arc<BlobSource>,
    /// The parts in flight, in the order of the blob, without gaps.
    parts: FuturesOrdered<BoxFuture<'static, Result<Part>>>,
    ready: VecDeque<Bytes>,
    /// The offset of the first byte that has not arrived.
    position: u64,
    /// The offset of the first byte that is not yet in a part.
    next: u64,
    end: u64,
    /// The initial request for the whole blob, after its part arrived. It is kept until the server proves that it
    /// supports ranges.
    initial: Option<InitialRequest>,
    /// The download of the rest over one connection, if the server does not support ranges.
    rest: Option<RangeDownload>,
    permits: Vec<ConnectionPermit>,
}

/// A part that arrived, and the initial request if it delivered the part.
type Part = (Vec<Bytes>, Option<InitialRequest>);

struct InitialRequest {
    /// The bytes that arrived beyond the part.
    beyond: Bytes,
    download: RangeDownload,
}

impl ParallelTransfer {
    /// Continues the open download `initial` over more connections.
    pub(crate) fn new(initial: RangeDownload, first_permit: ConnectionPermit) -> Self {
        tracing::debug!("downloading over several connections");
        let left = initial.left();
        let mut parallel = Self {
            blob: Arc::clone(initial.blob()),
            parts: FuturesOrdered::new(),
            ready: VecDeque::new(),
            position: left.start,
            next: left.start,
            end: left.end,
            initial: None,
            rest: None,
            permits: vec![first_permit],
        };
        let range = parallel.next_range();
        parallel.parts.push_back(read_initial_part(initial, range).boxed());
        parallel
    }

    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>> {
        loop {
            if let Some(chunk) = self.ready.pop_front() {
                return Ok(Some(chunk));
            }
            if let Some(rest) = &mut self.rest {
                return rest.chunk().await;
            }
            self.start_parts();
            match self.parts.next().await {
                Some(Ok((chunks, initial))) => {
                    // A part without the initial request proves range support, and ends that request.
                    self.initial = initial;
                    self.position += chunks.iter().map(|chunk| chunk.len() as u64).sum::<u64>();
                    self.ready.extend(chunks);
                    self.blob.connections.succeeded();
                }
                Some(Err(error))
                    if error.kind() == ErrorKind::Unsupported && !self.blob.connections.supports_ranges() =>
                {
                    self.fall_back();
                }
                Some(Err(error)) => return Err(error),
                None => return Ok(None),
            }
        }
    }

    /// Returns the range of the next part.
    fn next_range(&mut self) -> Range<u64> {
        let options = self.blob.repository.client().options().parallel;
        // All connections together must fit into the window, or the last ones would have no part.
        let size = (options.window as u64 / options.connections.max(1) as u64).clamp(1, MAX_PART);
        let start = self.next;
        self.next = self.end.min(start + size);
        start..self.next
    }

    /// Starts parts while the connections allow it.
    fn start_parts(&mut self) {
        // The budget was lowered after an overload or a broken connection, so this download releases a connection.
        if self.blob.connections.is_over() && self.permits.len() > 1 {
            self.permits.pop();
        }
        while self.next < self.end {
            if self.parts.len() >= self.permits.len() {
                let Some(permit) = self.blob.connections.take() else { return };
                self.permits.push(permit);
            }
            let part = download_part(Arc::clone(&self.blob), self.next_range());
            self.parts.push_back(part.boxed());
        }
    }

    /// Continues with one connection, because the server does not support ranges.
    fn fall_back(&mut self) {
        // The other parts would only repeat bytes.
        self.parts = FuturesOrdered::new();
        self.permits.truncate(1);
        self.rest = Some(match self.initial.take() {
            Some(InitialRequest { beyond, download }) => {
                self.ready.extend((!beyond.is_empty()).then_some(beyond));
                download
            }
            None => RangeDownload::new(Arc::clone(&self.blob), self.position..self.end),
        });
    }
}

/// Reads a part from the initial request, whose chunks may cross the end of the part.
async fn read_initial_part(mut download: RangeDownload, range: Range<u64>) -> Result<Part> {
    let (mut chunks, mut beyond) = (Vec::new(), Bytes::new());
    while download.left().start < range.end {
        let Some(mut chunk) = download.chunk().await? else {
            let message = format!("{}: unexpected EOF", download.blob().descriptor.digest);
            return Err(Error::new(ErrorKind::SizeMismatch, message));
        };
        let extra = download.left().start.saturating_sub(range.end);
        beyond = chunk.split_off(chunk.len() - usize::try_from(extra).unwrap_or(0));
        chunks.push(chunk);
    }
    Ok((chunks, Some(InitialRequest { beyond, download })))
}

/// Downloads a part with requests that are separate from the initial one.
async fn download_part(blob: Arc<BlobSource>, range: Range<u64>) -> Result<Part> {
    let mut download = RangeDownload::part(Arc::clone(&blob), range);
    let (mut chunks, mut limit) = (Vec::new(), STALL_TIMEOUT);
    loop {
        let Ok(chunk) = timeout(limit, download.chunk()).await else {
            tracing::debug!(left = ?download.left(), "requesting a stalled part again");
            download = RangeDownload::part(Arc::clone(&blob), download.left());
            limit = limit.saturating_mul(4);
            continue;
        };
        match chunk? {
            Some(chunk) => chunks.push(chunk),
            None => return Ok((chunks, None)),
        }
    }
}
