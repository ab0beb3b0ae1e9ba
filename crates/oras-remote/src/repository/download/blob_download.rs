//! Streams a blob over one connection at first, and over several connections if the first is slow.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use bytes::Bytes;
use futures::stream::{self, StreamExt};
use oras_spec::Descriptor;
use oras_store::{ByteStream, Result};
use parking_lot::Mutex;
use tokio::time::{Duration, Instant};

use crate::connection::connection_budget::ConnectionPermit;
use crate::http::bandwidth_limit::RateLimit;
use crate::repository::download::blob_source::BlobSource;
use crate::repository::download::parallel_download::ParallelTransfer;
use crate::repository::download::range_download::RangeDownload;
use crate::repository::repository::Repository;

/// The longest wait for one chunk that counts in full. A longer wait is a pause of the reader, for example while its
/// upload fails.
const MAX_WAIT_COUNTED: Duration = Duration::from_millis(75);

/// Streams the bytes of the blob `descriptor` within `range`.
pub(crate) async fn open(
    repository: &Repository,
    descriptor: &Descriptor,
    range: Range<u64>,
) -> Result<ByteStream> {
    // An empty blob is requested, too, so that a missing blob is an error.
    if range.is_empty() && descriptor.size > 0 {
        return Ok(stream::empty().boxed());
    }
    let connections = Arc::clone(&repository.client().host(repository.endpoint().base()).connections);
    let permit = connections.take_first();
    let blob = Arc::new(BlobSource {
        url: repository.url(&format!("blobs/{}", descriptor.digest))?,
        repository: repository.clone(),
        descriptor: descriptor.clone(),
        connections,
        validator: Mutex::new(None),
        direct: Mutex::new(None),
        skipped: AtomicU64::new(0),
    });
    let mut range_download = RangeDownload::new(Arc::clone(&blob), range);
    // Requests the blob now, so that a missing blob fails `open` and not the first read.
    range_download.request().await?;
    let download =
        Download::Single(Box::new(SingleConnection { range_download, meter: SpeedMeter::new(), permit }));
    let limit = repository.client().options().limit_rate.clone();
    // Applies the rate limit after the speed is measured, because waiting for the limit does not mean a slow
    // connection.
    let next = |(download, limit): (Download, Option<RateLimit>)| async move {
        let Some((chunk, download)) = download.next().await? else { return Ok(None) };
        if let Some(limit) = &limit {
            limit.spend(chunk.len()).await;
        }
        Ok(Some((chunk, (download, limit))))
    };
    Ok(stream::try_unfold((download, limit), next).boxed())
}

enum Download {
    Single(Box<SingleConnection>),
    Several(Box<ParallelTransfer>),
}

/// A download over one connection, whose speed is measured.
struct SingleConnection {
    range_download: RangeDownload,
    meter: SpeedMeter,
    permit: ConnectionPermit,
}

impl Download {
    /// Returns the next bytes, and the download of the bytes after them.
    async fn next(self) -> Result<Option<(Bytes, Self)>> {
        let mut single = match self {
            Self::Single(single) => single,
            Self::Several(mut parallel) => {
                return Ok(parallel.chunk().await?.map(|chunk| (chunk, Self::Several(parallel))));
            }
        };
        let asked = Instant::now();
        let Some(chunk) = single.range_download.chunk().await? else { return Ok(None) };
        single.meter.record(asked, chunk.len());
        let download = if single.is_slow() {
            // The open connection is reused: it delivers the first part of the parallel transfer.
            let SingleConnection { range_download, permit, .. } = *single;
            Self::Several(Box::new(ParallelTransfer::new(range_download, permit)))
        } else {
            Self::Single(single)
        };
        Ok(Some((chunk, download)))
    }
}

impl SingleConnection {
    /// Returns true if several connections may be faster.
    fn is_slow(&mut self) -> bool {
        let blob = self.range_download.blob();
        let options = blob.repository.client().options().parallel;
        if self.meter.started.elapsed() < options.measured {
            return false;
        }
        let is_slow = self.meter.is_waiting() && self.meter.rate() < options.fast as f64;
        let can_split =
            self.range_download.remaining() >= options.smallest && blob.connections.supports_ranges();
        if is_slow && can_split && options.connections > 1 {
            return true;
        }
        // Starts a new measurement, because a connection may become slow later.
        self.meter = SpeedMeter::new();
        false
    }
}

/// Measures the rate of a download, and whether the network is its bottleneck.
struct SpeedMeter {
    started: Instant,
    waited: Duration,
    bytes: u64,
}

impl SpeedMeter {
    fn new() -> Self {
        Self { started: Instant::now(), waited: Duration::ZERO, bytes: 0 }
    }

    fn record(&mut self, requested_at: Instant, bytes: usize) {
        self.waited += requested_at.elapsed().min(MAX_WAIT_COUNTED);
        self.bytes += bytes as u64;
    }

    fn is_waiting(&self) -> bool {
        // More than half of the time was spent waiting for the network.
        self.waited * 2 > self.started.elapsed()
    }

    /// Returns the bytes per second.
    fn rate(&self) -> f64 {
        // The lower bound avoids a division by zero directly after the start.
        self.bytes as f64 / self.started.elapsed().as_secs_f64().max(1e-6)
    }
}
