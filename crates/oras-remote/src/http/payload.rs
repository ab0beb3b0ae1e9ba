//! What is sent: content, or bytes whose digest is not known yet.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::{StreamExt, TryStreamExt, stream};
use oras_store::{ByteStream, Content, Error, Kind, Origin, Result, Undigested};

use super::SMALL;
use super::relay::Relay;

/// The bytes of a blob on its way; cheap to clone, and opened anew for each request.
#[derive(Clone, Debug)]
pub(crate) struct Payload {
    bytes: Bytes,
    /// How many have been taken, all openings together.
    taken: Arc<AtomicU64>,
}

#[derive(Clone, Debug)]
enum Bytes {
    Content(Content),
    /// Content of another registry, which must not be asked for more than it has to.
    Relayed(Content, Relay),
    Undigested(Undigested),
    /// Some of the bytes, those from an offset on: the registry has the others, and nobody else.
    Window(u64, bytes::Bytes),
}

impl Payload {
    pub(crate) fn content(content: Content) -> Self {
        let is_far = content.is_replayable() && matches!(content.origin(), Origin::Repository { .. });
        let bytes = if is_far && content.descriptor().size > SMALL {
            Bytes::Relayed(content, Relay::default())
        } else {
            Bytes::Content(content)
        };
        Self { bytes, taken: Arc::default() }
    }

    pub(crate) fn undigested(content: Undigested) -> Self {
        Self { bytes: Bytes::Undigested(content), taken: Arc::default() }
    }

    /// The bytes behind `start` others, which a registry has already.
    pub(super) fn window(start: u64, bytes: bytes::Bytes) -> Self {
        Self { bytes: Bytes::Window(start, bytes), taken: Arc::default() }
    }

    /// Whether there is nothing but `range`, and will not be.
    pub(super) fn is_all(&self, range: &Range<u64>) -> bool {
        !matches!(self.bytes, Bytes::Window(..)) && *range == (0..self.size())
    }

    pub(crate) fn size(&self) -> u64 {
        match &self.bytes {
            Bytes::Content(content) | Bytes::Relayed(content, _) => content.descriptor().size,
            Bytes::Undigested(content) => content.size,
            Bytes::Window(start, bytes) => start + bytes.len() as u64,
        }
    }

    /// Whether it can be opened again.
    pub(crate) fn is_replayable(&self) -> bool {
        match &self.bytes {
            Bytes::Content(content) => content.is_replayable(),
            Bytes::Relayed(..) | Bytes::Undigested(_) | Bytes::Window(..) => true,
        }
    }

    /// How many bytes have been taken to be sent, those that were sent twice counted twice.
    pub(crate) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// The bytes within `range`, and perhaps more than that.
    pub(crate) async fn open(&self, range: Range<u64>) -> Result<ByteStream> {
        let stream = match &self.bytes {
            Bytes::Content(content) => content.unverified(range).await?,
            Bytes::Relayed(content, relay) => relay.open(content, range).await?,
            Bytes::Undigested(content) => content.open(range.start).await?,
            Bytes::Window(start, bytes) => {
                let place = |at: u64| usize::try_from(at.checked_sub(*start)?).ok();
                let part = place(range.start).zip(place(range.end)).filter(|(start, end)| start <= end);
                let Some((start, end)) = part.filter(|(_, end)| *end <= bytes.len()) else {
                    let message = "the registry has lost an upload whose bytes are not at hand any more";
                    return Err(Error::new(Kind::Other, message));
                };
                stream::iter((start < end).then(|| Ok(bytes.slice(start..end)))).boxed()
            }
        };
        let taken = Arc::clone(&self.taken);
        let count = move |chunk: &bytes::Bytes| {
            taken.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        };
        Ok(stream.inspect_ok(count).boxed())
    }
}
