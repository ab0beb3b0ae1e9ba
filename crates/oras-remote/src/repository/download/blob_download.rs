//! A blob as it comes: by one connection at first, by several when that is slow (distribution-spec, "Pulling blobs").

mod answer;
mod parallel;
mod run;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use bytes::Bytes;
use futures::stream::{self, StreamExt};
use oras_spec::Descriptor;
use oras_store::{ByteStream, Result};
use parking_lot::Mutex;
use reqwest::Method;
use reqwest::header::{IF_RANGE, RANGE};
use tokio::time::{Duration, Instant};
use url::Url;

use crate::connections::{Connections, Permit};
use crate::repository::Repository;
use crate::request::{Request, Response};
pub(crate) use answer::{content_range, unsatisfied};
use parallel::Parallel;
use run::Run;

/// The bytes of the blob `descriptor` within `range`.
pub(crate) async fn open(
    repository: &Repository,
    descriptor: &Descriptor,
    range: Range<u64>,
) -> Result<ByteStream> {
    if range.is_empty() && descriptor.size > 0 {
        return Ok(stream::empty().boxed());
    }
    let connections = repository.client().connections(repository.endpoint());
    let permit = connections.enter();
    let blob = Arc::new(Blob {
        url: repository.url(&format!("blobs/{}", descriptor.digest))?,
        repository: repository.clone(),
        descriptor: descriptor.clone(),
        connections,
        validator: Mutex::new(None),
        direct: Mutex::new(None),
        skipped: AtomicU64::new(0),
    });
    let mut run = Run::new(Arc::clone(&blob), range);
    run.request().await?;
    let download = Download::One(Box::new(One { run, meter: Meter::new(), permit }));
    let limit = repository.client().options().limit_rate.clone();
    // Behind the measuring: what waits for its turn is no slow connection.
    let next = move |mut download: Download| {
        let limit = limit.clone();
        async move {
            let Some(chunk) = download.chunk().await? else { return Ok(None) };
            if let Some(limit) = limit {
                limit.spend(chunk.len()).await;
            }
            Ok(Some((chunk, download)))
        }
    };
    Ok(stream::try_unfold(download, next).boxed())
}

/// What the requests for one blob share.
struct Blob {
    repository: Repository,
    url: Url,
    descriptor: Descriptor,
    connections: Arc<Connections>,
    /// The strong ETag of the first answer that had one.
    validator: Mutex<Option<String>>,
    /// Where the registry sent the last request; never shown, for it may be signed.
    direct: Mutex<Option<Url>>,
    /// Bytes that came once more because a range was not heeded.
    skipped: AtomicU64,
}

impl Blob {
    /// Asks for the part, or for all of it. A redirect to a signed address may have expired: the registry is asked each
    /// time, except when `direct`ly asked where it led last and that still serves.
    async fn ask(&self, range: Option<Range<u64>>, direct: bool) -> Result<Response> {
        if let Some(url) = self.direct().filter(|_| direct) {
            match self.send(url, range.clone()).await {
                Ok(response) if response.status.is_success() => return Ok(response),
                _ => self.set_direct(None),
            }
        }
        self.send(self.url.clone(), range).await
    }

    async fn send(&self, url: Url, range: Option<Range<u64>>) -> Result<Response> {
        let mut request = Request::new(Method::GET, url, self.repository.pull()).limit(None);
        if let Some(range) = range {
            let bytes = format!("bytes={}-{}", range.start, range.end.saturating_sub(1));
            request = request.header(RANGE, &bytes)?;
            let validator = self.validator.lock().clone();
            if let Some(validator) = validator {
                request = request.header(IF_RANGE, &validator)?;
            }
        }
        self.repository.client().send(self.repository.endpoint(), &request).await
    }

    fn direct(&self) -> Option<Url> {
        self.direct.lock().clone()
    }

    fn set_direct(&self, url: Option<Url>) {
        *self.direct.lock() = url;
    }
}

enum Download {
    One(Box<One>),
    Several(Box<Parallel>),
    /// Between the two.
    Ended,
}

/// One connection, watched for being slow.
struct One {
    run: Run,
    meter: Meter,
    permit: Permit,
}

impl Download {
    async fn chunk(&mut self) -> Result<Option<Bytes>> {
        match self {
            Self::Ended => Ok(None),
            Self::Several(parallel) => parallel.chunk().await,
            Self::One(one) => {
                let asked = Instant::now();
                let chunk = one.run.chunk().await?;
                one.meter.passed(asked, chunk.as_ref().map_or(0, Bytes::len));
                if !one.is_slow() {
                    return Ok(chunk);
                }
                let Self::One(one) = std::mem::replace(self, Self::Ended) else { return Ok(chunk) };
                let One { run, meter, permit } = *one;
                *self = Self::Several(Box::new(Parallel::new(run, meter.rate(), permit)));
                Ok(chunk)
            }
        }
    }
}

impl One {
    /// Whether several connections are worth a try by now.
    fn is_slow(&mut self) -> bool {
        let blob = self.run.blob();
        let options = blob.repository.client().options().parallel;
        if self.meter.begun.elapsed() < options.measured {
            return false;
        }
        let slow = self.meter.waits() && self.meter.rate() < options.fast as f64;
        let worth = self.run.remaining() >= options.smallest && blob.connections.ranges();
        if slow && worth && options.connections > 1 {
            return true;
        }
        self.meter = Meter::new();
        false
    }
}

/// What took longer is hardly a wait for the next bytes: nobody asked for them meanwhile, as when an upload breaks.
const LONGEST: Duration = Duration::from_millis(75);

/// How fast bytes come, and whether it is the network that is waited for.
struct Meter {
    begun: Instant,
    waited: Duration,
    bytes: u64,
}

impl Meter {
    fn new() -> Self {
        Self { begun: Instant::now(), waited: Duration::ZERO, bytes: 0 }
    }

    fn passed(&mut self, asked: Instant, bytes: usize) {
        self.waited += asked.elapsed().min(LONGEST);
        self.bytes += bytes as u64;
    }

    fn waits(&self) -> bool {
        self.waited * 2 > self.begun.elapsed()
    }

    /// Bytes a second.
    fn rate(&self) -> f64 {
        self.bytes as f64 / self.begun.elapsed().as_secs_f64().max(1e-6)
    }
}
