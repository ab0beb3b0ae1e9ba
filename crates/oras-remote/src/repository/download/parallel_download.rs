//! Downloads a blob in parts over several connections and delivers them in order. A window of the blob bounds the
//! memory.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::{AbortHandle, BoxFuture, abortable};
use futures::stream::{FuturesUnordered, StreamExt};
use oras_store::{Error, ErrorKind, Result};
use tokio::time::{Duration, Instant, timeout_at};

use crate::connection::connection_budget::ConnectionPermit;
use crate::repository::download::blob_source::BlobSource;
use crate::repository::download::range_download::RangeDownload;

/// The size of the largest part.
const MAX_PART: u64 = 4 << 20;
/// A part is slow if it takes longer than this multiple of the average part and longer than `MIN_PART_TIME`.
const SLOW_PART_FACTOR: u32 = 3;
/// The shortest time after which a part can be slow. The client requests a slow part again, up to [`MAX_PART_RETRIES`]
/// times.
const MIN_PART_TIME: Duration = Duration::from_millis(200);
const MAX_PART_RETRIES: u32 = 3;
/// The size of the smallest part that is moved to an idle connection.
const MIN_MOVED_PART: u64 = 64 << 10;

type Step = BoxFuture<'static, Option<(u64, RangeDownload, Result<Option<Bytes>>)>>;

pub(crate) struct ParallelTransfer {
    blob: Arc<BlobSource>,
    /// In the order of the blob, without gaps.
    parts: VecDeque<Part>,
    running: FuturesUnordered<Step>,
    /// The first byte that was not delivered.
    position: u64,
    /// The offset of the first byte that is not yet in a part.
    next: u64,
    end: u64,
    last_id: u64,
    /// The average duration of a part.
    average: Option<Duration>,
    /// Whether the server has sent a partial answer.
    ranges_proven: bool,
    _first_permit: ConnectionPermit,
    extra: Vec<ConnectionPermit>,
}

/// A part of the blob that is downloaded or waits to be delivered.
struct Part {
    id: u64,
    /// The first missing byte, and the end.
    start: u64,
    end: u64,
    ready: VecDeque<Bytes>,
    handle: Option<AbortHandle>,
    started: Instant,
    retries: u32,
    /// Whether this is the initial request for the whole blob. It is kept with its extra bytes until the server
    /// proves that it supports ranges.
    is_initial: bool,
    kept: Option<(RangeDownload, Bytes)>,
}

impl ParallelTransfer {
    /// Continues the download `run` over more connections.
    pub(crate) fn new(run: RangeDownload, first_permit: ConnectionPermit) -> Self {
        let left = run.left();
        let mut parallel = Self {
            blob: Arc::clone(run.blob()),
            parts: VecDeque::new(),
            running: FuturesUnordered::new(),
            position: left.start,
            next: left.start,
            end: left.end,
            last_id: 0,
            average: None,
            ranges_proven: false,
            _first_permit: first_permit,
            extra: Vec::new(),
        };
        let size = parallel.part_size();
        parallel.start_part(run, size, true);
        tracing::debug!("downloading over several connections");
        parallel
    }

    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>> {
        loop {
            if let Some(chunk) = self.pop_ready() {
                return Ok(Some(chunk));
            }
            // All bytes are delivered: no part is left, and none remains to be started.
            if self.parts.is_empty() && self.next >= self.end {
                return Ok(None);
            }
            self.fill();
            let step = match self.deadline() {
                Some(deadline) => match timeout_at(deadline, self.running.next()).await {
                    Ok(step) => step,
                    Err(_) => {
                        self.retry_slow_part();
                        continue;
                    }
                },
                None => self.running.next().await,
            };
            match step {
                Some(Some((id, run, result))) => self.handle_chunk(id, run, result)?,
                // The read was aborted, because its part was moved or dropped.
                Some(None) => {}
                None => return Err(Error::new(ErrorKind::Other, "a download came to a halt")),
            }
        }
    }

    /// Returns the next bytes in order, if they have arrived.
    fn pop_ready(&mut self) -> Option<Bytes> {
        loop {
            let part = self.parts.front_mut()?;
            if let Some(chunk) = part.ready.pop_front() {
                self.position += chunk.len() as u64;
                return Some(chunk);
            }
            // The initial request is kept until another part has arrived.
            if part.start < part.end || (part.kept.is_some() && !self.ranges_proven) {
                return None;
            }
            self.parts.pop_front();
        }
    }

    fn part_size(&self) -> u64 {
        let options = self.blob.repository.client().options().parallel;
        // All connections together must fit into the window, or the last ones would have no part.
        (options.window as u64 / options.connections.max(2) as u64).clamp(1, MAX_PART)
    }

    fn active(&self) -> usize {
        self.parts.iter().filter(|part| part.start < part.end).count()
    }

    /// Starts parts while connections and the window allow it.
    fn fill(&mut self) {
        if self.next >= self.end {
            return;
        }
        let connections = &self.blob.connections;
        // The budget was lowered after an overload or a broken connection, so this download releases a connection.
        if connections.is_over() {
            self.extra.pop();
        }
        self.extra.extend(std::iter::from_fn(|| connections.take()));
        let window = self.blob.repository.client().options().parallel.window as u64;
        while self.next < self.end && (self.active() <= self.extra.len() || self.parts.is_empty()) {
            let size = self.part_size().min(self.end - self.next);
            if self.next + size - self.position > window && !self.parts.is_empty() {
                break;
            }
            let run = RangeDownload::part(Arc::clone(&self.blob), self.next..self.next + size);
            self.start_part(run, size, false);
        }
    }

    fn start_part(&mut self, run: RangeDownload, size: u64, is_initial: bool) {
        let id = self.id();
        let end = (self.next + size).min(self.end);
        let handle = self.spawn_read(id, run);
        self.parts.push_back(Part { is_initial, ..Part::new(id, self.next..end, handle) });
        self.next = end;
    }

    fn id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Reads the next bytes of a part concurrently with the others.
    fn spawn_read(&self, id: u64, mut run: RangeDownload) -> AbortHandle {
        let work = async move {
            let result = run.chunk().await;
            (id, run, result)
        };
        // Aborting drops the connection of a slow part, so that its bytes don't arrive twice.
        let (work, handle) = abortable(work);
        self.running.push(work.map(Result::ok).boxed());
        handle
    }

    fn handle_chunk(&mut self, id: u64, run: RangeDownload, result: Result<Option<Bytes>>) -> Result<()> {
        // The part may have been dropped while its read was finishing.
        let Some(place) = self.parts.iter().position(|part| part.id == id) else { return Ok(()) };
        let chunk = match result {
            Ok(Some(chunk)) => chunk,
            Ok(None) => {
                let message = format!("{}: unexpected EOF", self.blob.descriptor.digest);
                return Err(Error::new(ErrorKind::SizeMismatch, message));
            }
            Err(error)
                if error.kind() == ErrorKind::Unsupported && !self.blob.connections.supports_ranges() =>
            {
                self.fall_back();
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let Some(part) = self.parts.get_mut(place) else { return Ok(()) };
        // A chunk of a later part proves range support, because a later part accepts only a partial answer.
        self.ranges_proven |= !part.is_initial;
        let mut chunk = chunk;
        let wanted = usize::try_from(part.end - part.start).map_or(chunk.len(), |left| left.min(chunk.len()));
        // The initial request is for the rest of the blob, so its chunks may cross the end of its part.
        let beyond = chunk.split_off(wanted);
        part.ready.push_back(chunk);
        part.start += wanted as u64;
        if part.start < part.end {
            let handle = self.spawn_read(id, run);
            if let Some(part) = self.parts.get_mut(place) {
                part.handle = Some(handle);
            }
        } else if part.is_initial {
            part.kept = Some((run, beyond));
        } else {
            let duration = part.started.elapsed();
            // Uses a moving average, so that one unusual part has little influence.
            self.average = Some(self.average.map_or(duration, |average| (average * 3 + duration) / 4));
            self.blob.connections.succeeded();
        }
        Ok(())
    }

    /// Returns when the first part is too slow, if requesting it again may help.
    fn deadline(&self) -> Option<Instant> {
        let part =
            self.parts.front().filter(|part| part.start < part.end && part.retries < MAX_PART_RETRIES)?;
        let (average, ranges_proven) = (self.average?, self.ranges_proven);
        // Without ranges, a new request would start at the first byte of the blob again.
        ranges_proven.then(|| part.started + (average * SLOW_PART_FACTOR).max(MIN_PART_TIME))
    }

    /// Requests the rest of the first part again, the second half over an idle connection if there is one.
    fn retry_slow_part(&mut self) {
        let idle = self.active() <= self.extra.len();
        let Some(part) = self.parts.front_mut() else { return };
        if let Some(handle) = part.handle.take() {
            handle.abort();
        }
        // Only the first part is retried, because the reader waits for it.
        let (id, start, end) = (part.id, part.start, part.end);
        let middle = if idle && end - start >= 2 * MIN_MOVED_PART { start + (end - start) / 2 } else { end };
        tracing::debug!(start, end, moved = end - middle, "requesting a slow part again");
        (part.end, part.started, part.is_initial) = (middle, Instant::now(), false);
        part.retries += 1;
        let retries = part.retries;
        let handle = self.spawn_read(id, RangeDownload::part(Arc::clone(&self.blob), start..middle));
        if let Some(part) = self.parts.front_mut() {
            part.handle = Some(handle);
        }
        if middle < end {
            let id = self.id();
            let handle = self.spawn_read(id, RangeDownload::part(Arc::clone(&self.blob), middle..end));
            self.parts.insert(1, Part { retries, ..Part::new(id, middle..end, handle) });
        }
    }

    /// Continues with one connection, because the server does not support ranges.
    fn fall_back(&mut self) {
        // The first part continues to the end of the blob. The others would only repeat its bytes.
        for part in self.parts.drain(1.min(self.parts.len())..) {
            if let Some(handle) = part.handle {
                handle.abort();
            }
        }
        self.extra.clear();
        self.next = self.end;
        // No other part can prove range support, so delivery must not wait for a proof.
        self.ranges_proven = true;
        let Some(part) = self.parts.front_mut() else { return };
        part.end = self.end;
        part.retries = MAX_PART_RETRIES;
        let (id, start) = (part.id, part.start);
        let handle = match part.kept.take() {
            Some((run, beyond)) => {
                part.start += beyond.len() as u64;
                part.ready.extend((!beyond.is_empty()).then_some(beyond));
                self.spawn_read(id, run)
            }
            // The initial request is still being read.
            None if part.is_initial => return,
            None => {
                if let Some(handle) = part.handle.take() {
                    handle.abort();
                }
                self.spawn_read(id, RangeDownload::new(Arc::clone(&self.blob), start..self.end))
            }
        };
        if let Some(part) = self.parts.front_mut() {
            part.handle = Some(handle);
        }
    }
}

impl Part {
    fn new(id: u64, range: Range<u64>, handle: AbortHandle) -> Self {
        Self {
            id,
            start: range.start,
            end: range.end,
            ready: VecDeque::new(),
            handle: Some(handle),
            started: Instant::now(),
            retries: 0,
            is_initial: false,
            kept: None,
        }
    }
}
