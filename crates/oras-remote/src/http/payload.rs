//! The bytes of a blob that is uploaded.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::{StreamExt, TryStreamExt, stream};
use oras_store::{ByteStream, Content, Error, ErrorKind, Origin, Result, UnhashedContent};

use crate::http::download_replay::ReplayableDownload;

/// Blobs up to this size are sent without an existence check, which would cost as much as the upload.
pub(crate) const MAX_SMALL_BLOB: u64 = 256 << 10;

/// The bytes of a blob to upload. Clones are cheap. Each request opens the bytes again.
#[derive(Clone, Debug)]
pub(crate) struct Payload {
    bytes: Bytes,
    /// The total number of bytes read by all streams of this payload and its clones.
    bytes_read: Arc<AtomicU64>,
}

#[derive(Clone, Debug)]
enum Bytes {
    Content(Content),
    /// Content of another registry, whose download is reused when the upload fails.
    Replayable(Content, ReplayableDownload),
    UnhashedContent(UnhashedContent),
    /// The bytes after an offset. The registry already has the earlier bytes, and this client has freed them.
    Window(u64, bytes::Bytes),
}

impl Payload {
    pub(crate) fn content(content: Content) -> Self {
        // Only content of a registry is expensive to open again. A file is simply read a second time.
        let is_far = content.is_replayable() && matches!(content.origin(), Origin::Repository { .. });
        let bytes = if is_far && content.descriptor().size > MAX_SMALL_BLOB {
            Bytes::Replayable(content, ReplayableDownload::default())
        } else {
            Bytes::Content(content)
        };
        Self { bytes, bytes_read: Arc::default() }
    }

    pub(crate) fn undigested(content: UnhashedContent) -> Self {
        Self { bytes: Bytes::UnhashedContent(content), bytes_read: Arc::default() }
    }

    /// Returns a payload of `bytes` that follow `start` earlier bytes, which the registry already has.
    pub(crate) fn window(start: u64, bytes: bytes::Bytes) -> Self {
        Self { bytes: Bytes::Window(start, bytes), bytes_read: Arc::default() }
    }

    /// Returns true if `range` is the whole blob.
    pub(crate) fn is_all(&self, range: &Range<u64>) -> bool {
        !matches!(self.bytes, Bytes::Window(..)) && *range == (0..self.size())
    }

    pub(crate) fn size(&self) -> u64 {
        match &self.bytes {
            Bytes::Content(content) | Bytes::Replayable(content, _) => content.descriptor().size,
            Bytes::UnhashedContent(content) => content.size,
            Bytes::Window(start, bytes) => start + bytes.len() as u64,
        }
    }

    /// Returns true if the payload can be opened again.
    pub(crate) fn is_replayable(&self) -> bool {
        match &self.bytes {
            Bytes::Content(content) => content.is_replayable(),
            Bytes::Replayable(..) | Bytes::UnhashedContent(_) | Bytes::Window(..) => true,
        }
    }

    /// Reports the first bytes as present, because an earlier run has sent them.
    pub(crate) fn report_present(&self, bytes: u64) {
        match &self.bytes {
            Bytes::Content(content) | Bytes::Replayable(content, _) => content.report_present(bytes),
            Bytes::UnhashedContent(content) => content.report_present(bytes),
            Bytes::Window(..) => {}
        }
    }

    /// Returns the number of bytes read so far. Bytes that were read twice count twice.
    pub(crate) fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }

    /// Opens a stream of the bytes from the start of `range`. The stream may continue after the end of `range`.
    pub(crate) async fn open(&self, range: Range<u64>) -> Result<ByteStream> {
        let stream = match &self.bytes {
            Bytes::Content(content) => content.unverified(range).await?,
            Bytes::Replayable(content, download) => download.open(content, range).await?,
            Bytes::UnhashedContent(content) => content.open(range.start).await?,
            Bytes::Window(start, bytes) => {
                let place = |at: u64| usize::try_from(at.checked_sub(*start)?).ok();
                let part = place(range.start).zip(place(range.end)).filter(|(start, end)| start <= end);
                let Some((start, end)) = part.filter(|(_, end)| *end <= bytes.len()) else {
                    let message = "the registry has lost an upload whose bytes are not at hand any more";
                    return Err(Error::new(ErrorKind::Other, message));
                };
                stream::iter((start < end).then(|| Ok(bytes.slice(start..end)))).boxed()
            }
        };
        let bytes_read = Arc::clone(&self.bytes_read);
        let count = move |chunk: &bytes::Bytes| {
            bytes_read.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        };
        Ok(stream.inspect_ok(count).boxed())
    }
}
