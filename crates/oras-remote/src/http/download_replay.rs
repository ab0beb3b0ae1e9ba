//! Keeps a download from another registry open when the upload of its bytes fails, and buffers its last bytes, so
//! that a retry does not download them again.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use oras_store::{ByteStream, Content, Result};
use parking_lot::{Mutex, MutexGuard};

/// The size of the buffer in bytes: about the number of bytes that may be in flight to a registry.
const REPLAY_BUFFER_SIZE: usize = 6 << 20;
/// The most bytes before the buffer that a separate request downloads again. If more are missing, a new download
/// starts.
const MAX_REFETCH: u64 = 32 << 20;

/// The download behind an upload. Clones share it. Only the stream of the latest `open` returns it for reuse.
#[derive(Clone, Default)]
pub(crate) struct ReplayableDownload(Arc<Mutex<Slot>>);

#[derive(Default)]
struct Slot {
    /// The number of calls of `open`. Only the stream of the latest call may return its download.
    openings: u64,
    download: Option<OpenDownload>,
}

/// A download that was not read to its end.
struct OpenDownload {
    stream: ByteStream,
    buffer: ReplayBuffer,
    end: u64,
}

impl ReplayableDownload {
    /// Opens the bytes of `content` within `range`. Continues the download of the previous call if possible.
    pub(crate) async fn open(&self, content: &Content, range: Range<u64>) -> Result<ByteStream> {
        let (opening, download) = {
            let mut slot = self.slot();
            slot.openings += 1;
            // The lock is released before the download is opened, because a lock must not be held across an await.
            (slot.openings, slot.download.take())
        };
        // If `range` has a different end, the open download would return too many or too few bytes.
        let usable =
            download.filter(|download| download.end == range.end && download.buffer.reaches(range.start));
        let (before, download) = match usable {
            Some(download) => {
                tracing::debug!(offset = range.start, "continuing an open download");
                let gap = range.start..download.buffer.start.max(range.start);
                let gap = if gap.is_empty() { None } else { Some(content.unverified(gap).await?) };
                let again: Vec<_> = download.buffer.from(range.start).into_iter().map(Ok).collect();
                (stream::iter(gap).flatten().chain(stream::iter(again)).boxed(), download)
            }
            None => {
                let (start, end) = (range.start, range.end);
                let buffer = ReplayBuffer { start, chunks: VecDeque::new(), size: 0 };
                (
                    stream::empty().boxed(),
                    OpenDownload { stream: content.unverified(range).await?, buffer, end },
                )
            }
        };
        let rest = DownloadStream { relay: self.clone(), opening, download: Some(download) };
        Ok(before.chain(rest).boxed())
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.0.lock()
    }
}

/// The last bytes that were read.
struct ReplayBuffer {
    /// The offset of the first buffered byte.
    start: u64,
    chunks: VecDeque<Bytes>,
    size: usize,
}

impl ReplayBuffer {
    fn push(&mut self, chunk: &Bytes) {
        self.size += chunk.len();
        self.chunks.push_back(chunk.clone());
        while self.size > REPLAY_BUFFER_SIZE
            && let Some(first) = self.chunks.pop_front()
        {
            self.start += first.len() as u64;
            self.size -= first.len();
        }
    }

    /// Returns true if the download can continue from `offset`.
    fn reaches(&self, offset: u64) -> bool {
        offset <= self.start + self.size as u64 && self.start.saturating_sub(offset) <= MAX_REFETCH
    }

    /// Returns the buffered bytes from `offset` on.
    fn from(&self, offset: u64) -> Vec<Bytes> {
        let mut at = self.start;
        let mut found = Vec::new();
        for chunk in &self.chunks {
            let skipped = offset.saturating_sub(at).min(chunk.len() as u64);
            at += chunk.len() as u64;
            found.extend(usize::try_from(skipped).ok().map(|skipped| chunk.slice(skipped..)));
        }
        found.retain(|chunk| !chunk.is_empty());
        found
    }
}

/// The stream of the download. Dropping it before its end returns the download for the next call of `open`.
struct DownloadStream {
    relay: ReplayableDownload,
    opening: u64,
    download: Option<OpenDownload>,
}

impl Stream for DownloadStream {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(download) = &mut self.download else { return Poll::Ready(None) };
        let polled = download.stream.poll_next_unpin(context);
        match &polled {
            Poll::Ready(Some(Ok(chunk))) => download.buffer.push(chunk),
            // Even a finished download is useful while its last bytes are buffered.
            Poll::Ready(None) => download.stream = stream::empty().boxed(),
            // After an error the stream can't continue, so the next opening starts a new download.
            Poll::Ready(Some(Err(_))) => self.download = None,
            Poll::Pending => {}
        }
        polled
    }
}

impl Drop for DownloadStream {
    fn drop(&mut self) {
        let mut slot = self.relay.slot();
        // A newer stream has its own download, which this older stream must not replace.
        if slot.openings == self.opening {
            slot.download = self.download.take();
        }
    }
}

impl fmt::Debug for ReplayableDownload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplayableDownload").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer() -> ReplayBuffer {
        let mut buffer = ReplayBuffer { start: 10, chunks: VecDeque::new(), size: 0 };
        for chunk in ["abc", "defg", "h"] {
            buffer.push(&Bytes::from_static(chunk.as_bytes()));
        }
        buffer
    }

    #[test]
    fn returns_buffered_bytes_from_an_offset() {
        for (offset, expected) in [(0, "abcdefgh"), (10, "abcdefgh"), (12, "cdefgh"), (17, "h"), (18, "")] {
            assert_eq!(buffer().from(offset).concat(), expected.as_bytes(), "{offset}");
            assert!(buffer().reaches(offset), "{offset}");
        }
        // The bytes after the last one that was read are not in the buffer.
        assert!(!buffer().reaches(19));
    }

    #[test]
    fn bounds_the_buffer() {
        let mut buffer = buffer();
        let chunk = Bytes::from(vec![7; REPLAY_BUFFER_SIZE / 4]);
        (0..40).for_each(|_| buffer.push(&chunk));
        assert_eq!((buffer.size, buffer.chunks.len()), (REPLAY_BUFFER_SIZE, 4));
        assert_eq!(buffer.start, 10 + 8 + 36 * (REPLAY_BUFFER_SIZE as u64 / 4));
        assert!(
            buffer.reaches(buffer.start - MAX_REFETCH) && !buffer.reaches(buffer.start - MAX_REFETCH - 1)
        );
    }
}
