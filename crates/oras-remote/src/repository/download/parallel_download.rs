//! A blob in parts over several connections, handed on in order: memory is bounded by a window of the blob.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::{AbortHandle, BoxFuture, abortable};
use futures::stream::{FuturesUnordered, StreamExt};
use oras_store::{Error, Kind, Result};
use tokio::time::{Duration, Instant, timeout_at};

use super::Blob;
use super::run::Run;
use crate::connections::Permit;

/// No part is larger.
const MAX_PART: u64 = 4 << 20;
/// Connections are added when the last ones brought so much more.
const GAIN: f64 = 1.15;
/// A part that takes so many times longer than others do is taken away from its connection...
const PATIENCE: u32 = 3;
/// ...and no sooner than after that time, so often.
const MIN_PATIENCE: Duration = Duration::from_millis(200);
const MAX_RESCUES: u32 = 3;
/// The smallest part that is given to an idle connection instead.
const MIN_STOLEN: u64 = 64 << 10;

type Step = BoxFuture<'static, Option<(u64, Run, Result<Option<Bytes>>)>>;

pub(super) struct Parallel {
    blob: Arc<Blob>,
    /// In the order of the blob, without gaps.
    parts: VecDeque<Part>,
    running: FuturesUnordered<Step>,
    /// The first byte that is not handed on.
    position: u64,
    /// The first byte that is in no part.
    next: u64,
    end: u64,
    names: u64,
    /// The connections that are wanted.
    width: usize,
    pace: Pace,
    /// How long a part takes, on average.
    usual: Option<Duration>,
    /// Whether the server has sent a part.
    proven: bool,
    _own: Permit,
    extra: Vec<Permit>,
}

/// A part of the blob that is on its way, or waits to be handed on.
struct Part {
    name: u64,
    /// The first byte that is still to come, and the end.
    start: u64,
    end: u64,
    ready: VecDeque<Bytes>,
    handle: Option<AbortHandle>,
    begun: Instant,
    rescues: u32,
    /// The request for the whole blob that all began with, which is kept until it is known that there are parts: also what
    /// came of it beyond the part.
    first: bool,
    kept: Option<(Run, Bytes)>,
}

/// Whether more connections bring more.
struct Pace {
    begun: Instant,
    bytes: u64,
    best: f64,
    growing: bool,
}

impl Parallel {
    /// Goes on with what `run` is at; one connection brought `rate` bytes a second.
    pub(super) fn new(run: Run, rate: f64, own: Permit) -> Self {
        let left = run.left();
        let mut parallel = Self {
            blob: Arc::clone(run.blob()),
            parts: VecDeque::new(),
            running: FuturesUnordered::new(),
            position: left.start,
            next: left.start,
            end: left.end,
            names: 0,
            width: 2,
            pace: Pace { begun: Instant::now(), bytes: 0, best: rate, growing: true },
            usual: None,
            proven: false,
            _own: own,
            extra: Vec::new(),
        };
        let size = parallel.part_size();
        parallel.begin(run, size, true);
        tracing::debug!(rate, "downloading over several connections");
        parallel
    }

    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>> {
        loop {
            if let Some(chunk) = self.hand_on() {
                return Ok(Some(chunk));
            }
            if self.parts.is_empty() && self.next >= self.end {
                return Ok(None);
            }
            self.fill();
            let step = match self.deadline() {
                Some(deadline) => match timeout_at(deadline, self.running.next()).await {
                    Ok(step) => step,
                    Err(_) => {
                        self.rescue();
                        continue;
                    }
                },
                None => self.running.next().await,
            };
            match step {
                Some(Some((name, run, result))) => self.arrived(name, run, result)?,
                Some(None) => {}
                None => return Err(Error::new(Kind::Other, "a download came to a halt")),
            }
        }
    }

    /// The next bytes in order, if they are there.
    fn hand_on(&mut self) -> Option<Bytes> {
        loop {
            let part = self.parts.front_mut()?;
            if let Some(chunk) = part.ready.pop_front() {
                self.position += chunk.len() as u64;
                self.pace.bytes += chunk.len() as u64;
                return Some(chunk);
            }
            // The first request is held until another has brought something.
            if part.start < part.end || (part.kept.is_some() && !self.proven) {
                return None;
            }
            self.parts.pop_front();
        }
    }

    fn part_size(&self) -> u64 {
        let window = self.blob.repository.client().options().parallel.window as u64;
        (window / self.width.max(2) as u64).clamp(1, MAX_PART)
    }

    fn active(&self) -> usize {
        self.parts.iter().filter(|part| part.start < part.end).count()
    }

    /// Begins parts while there are connections, and room in the window.
    fn fill(&mut self) {
        self.adapt();
        while 1 + self.extra.len() < self.width {
            match self.blob.connections.take() {
                Some(permit) => self.extra.push(permit),
                None => break,
            }
        }
        let window = self.blob.repository.client().options().parallel.window as u64;
        while self.next < self.end && (self.active() <= self.extra.len() || self.parts.is_empty()) {
            let size = self.part_size().min(self.end - self.next);
            if self.next + size - self.position > window && !self.parts.is_empty() {
                break;
            }
            let run = Run::part(Arc::clone(&self.blob), self.next..self.next + size);
            self.begin(run, size, false);
        }
    }

    /// As many connections as bring more, and no more than the registry bears.
    fn adapt(&mut self) {
        let connections = &self.blob.connections;
        if connections.is_over() {
            self.extra.pop();
            self.width = self.extra.len() + 1;
            self.pace.growing = false;
        }
        let options = self.blob.repository.client().options().parallel;
        let epoch = options.epoch.max(self.usual.unwrap_or_default() * 2);
        let elapsed = self.pace.begun.elapsed();
        if !self.pace.growing || self.usual.is_none() || elapsed < epoch {
            return;
        }
        let rate = self.pace.bytes as f64 / elapsed.as_secs_f64().max(1e-6);
        self.pace.growing = rate >= self.pace.best * GAIN && self.width < options.connections;
        tracing::debug!(rate, connections = self.width, more = self.pace.growing, "measured a download");
        if self.pace.growing {
            self.width = (self.width * 2).min(options.connections);
        }
        (self.pace.best, self.pace.bytes, self.pace.begun) = (rate, 0, Instant::now());
    }

    fn begin(&mut self, run: Run, size: u64, first: bool) {
        let name = self.name();
        let end = (self.next + size).min(self.end);
        let handle = self.step(name, run);
        self.parts.push_back(Part { first, ..Part::new(name, self.next..end, handle) });
        self.next = end;
    }

    fn name(&mut self) -> u64 {
        self.names += 1;
        self.names
    }

    /// Waits for the next bytes of a part, among the others.
    fn step(&self, name: u64, mut run: Run) -> AbortHandle {
        let work = async move {
            let result = run.chunk().await;
            (name, run, result)
        };
        let (work, handle) = abortable(work);
        self.running.push(work.map(Result::ok).boxed());
        handle
    }

    fn arrived(&mut self, name: u64, run: Run, result: Result<Option<Bytes>>) -> Result<()> {
        let Some(place) = self.parts.iter().position(|part| part.name == name) else { return Ok(()) };
        let chunk = match result {
            Ok(Some(chunk)) => chunk,
            Ok(None) => {
                let message = format!("{}: unexpected EOF", self.blob.descriptor.digest);
                return Err(Error::new(Kind::SizeMismatch, message));
            }
            Err(error) if error.kind() == Kind::Unsupported && !self.blob.connections.ranges() => {
                self.fall_back();
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let Some(part) = self.parts.get_mut(place) else { return Ok(()) };
        self.proven |= !part.first;
        let mut chunk = chunk;
        let wanted = usize::try_from(part.end - part.start).map_or(chunk.len(), |left| left.min(chunk.len()));
        let beyond = chunk.split_off(wanted);
        part.ready.push_back(chunk);
        part.start += wanted as u64;
        if part.start < part.end {
            let handle = self.step(name, run);
            if let Some(part) = self.parts.get_mut(place) {
                part.handle = Some(handle);
            }
        } else if part.first {
            part.kept = Some((run, beyond));
        } else {
            let took = part.begun.elapsed();
            self.usual = Some(self.usual.map_or(took, |usual| (usual * 3 + took) / 4));
            self.blob.connections.succeeded();
        }
        Ok(())
    }

    /// When the first part has had its time, if anything can be done about it.
    fn deadline(&self) -> Option<Instant> {
        let part = self.parts.front().filter(|part| part.start < part.end && part.rescues < MAX_RESCUES)?;
        let (usual, proven) = (self.usual?, self.proven);
        proven.then(|| part.begun + (usual * PATIENCE).max(MIN_PATIENCE))
    }

    /// Asks for the rest of the first part anew, the later half by an idle connection if there is one.
    fn rescue(&mut self) {
        let idle = self.active() <= self.extra.len();
        let Some(part) = self.parts.front_mut() else { return };
        if let Some(handle) = part.handle.take() {
            handle.abort();
        }
        let (name, start, end) = (part.name, part.start, part.end);
        let middle = if idle && end - start >= 2 * MIN_STOLEN { start + (end - start) / 2 } else { end };
        tracing::debug!(start, end, stolen = end - middle, "a part is slow: asking anew");
        (part.end, part.begun, part.first) = (middle, Instant::now(), false);
        part.rescues += 1;
        let rescues = part.rescues;
        let handle = self.step(name, Run::part(Arc::clone(&self.blob), start..middle));
        if let Some(part) = self.parts.front_mut() {
            part.handle = Some(handle);
        }
        if middle < end {
            let name = self.name();
            let handle = self.step(name, Run::part(Arc::clone(&self.blob), middle..end));
            self.parts.insert(1, Part { rescues, ..Part::new(name, middle..end, handle) });
        }
    }

    /// Goes on with one connection: there are no parts.
    fn fall_back(&mut self) {
        for part in self.parts.drain(1.min(self.parts.len())..) {
            if let Some(handle) = part.handle {
                handle.abort();
            }
        }
        self.extra.clear();
        (self.width, self.pace.growing, self.next) = (1, false, self.end);
        // There is nothing to wait for any more.
        self.proven = true;
        let Some(part) = self.parts.front_mut() else { return };
        part.end = self.end;
        part.rescues = MAX_RESCUES;
        let (name, start) = (part.name, part.start);
        let handle = match part.kept.take() {
            Some((run, beyond)) => {
                part.start += beyond.len() as u64;
                part.ready.extend((!beyond.is_empty()).then_some(beyond));
                self.step(name, run)
            }
            // The first request is still being read.
            None if part.first => return,
            None => {
                if let Some(handle) = part.handle.take() {
                    handle.abort();
                }
                self.step(name, Run::new(Arc::clone(&self.blob), start..self.end))
            }
        };
        if let Some(part) = self.parts.front_mut() {
            part.handle = Some(handle);
        }
    }
}

impl Part {
    fn new(name: u64, range: Range<u64>, handle: AbortHandle) -> Self {
        Self {
            name,
            start: range.start,
            end: range.end,
            ready: VecDeque::new(),
            handle: Some(handle),
            begun: Instant::now(),
            rescues: 0,
            first: false,
            kept: None,
        }
    }
}
