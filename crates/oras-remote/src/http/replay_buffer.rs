//! What comes from another registry on its way to this one: when the upload breaks, the download stays open, and what
//! was taken last is kept, so that nothing is asked for twice which is still at hand.

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

/// Bytes that are kept: about what may be on its way to a registry.
const KEPT: usize = 6 << 20;
/// So many bytes before those that are kept are asked for by themselves; of more, everything is.
const GAP: u64 = 32 << 20;

/// The download behind an upload; clones share it. One opening at a time goes on with it.
#[derive(Clone, Default)]
pub(super) struct Relay(Arc<Mutex<Slot>>);

#[derive(Default)]
struct Slot {
    /// How many openings there were: only the last one may leave its download here.
    openings: u64,
    left: Option<Left>,
}

/// A download that is not at its end.
struct Left {
    stream: ByteStream,
    kept: Kept,
    end: u64,
}

impl Relay {
    /// The bytes of `content` within `range`: on with the download of the last opening if that is within reach.
    pub(super) async fn open(&self, content: &Content, range: Range<u64>) -> Result<ByteStream> {
        let (opening, left) = {
            let mut slot = self.slot();
            slot.openings += 1;
            (slot.openings, slot.left.take())
        };
        let usable = left.filter(|left| left.end == range.end && left.kept.reaches(range.start));
        let (before, left) = match usable {
            Some(left) => {
                tracing::debug!(offset = range.start, "going on with a download that is open");
                let gap = range.start..left.kept.start.max(range.start);
                let gap = if gap.is_empty() { None } else { Some(content.unverified(gap).await?) };
                let again: Vec<_> = left.kept.from(range.start).into_iter().map(Ok).collect();
                (stream::iter(gap).flatten().chain(stream::iter(again)).boxed(), left)
            }
            None => {
                let (start, end) = (range.start, range.end);
                let kept = Kept { start, chunks: VecDeque::new(), size: 0 };
                (stream::empty().boxed(), Left { stream: content.unverified(range).await?, kept, end })
            }
        };
        let rest = Rest { relay: self.clone(), opening, left: Some(left) };
        Ok(before.chain(rest).boxed())
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.0.lock()
    }
}

/// The last bytes that were taken.
struct Kept {
    /// Where the first of them is.
    start: u64,
    chunks: VecDeque<Bytes>,
    size: usize,
}

impl Kept {
    fn push(&mut self, chunk: &Bytes) {
        self.size += chunk.len();
        self.chunks.push_back(chunk.clone());
        while self.size > KEPT
            && let Some(first) = self.chunks.pop_front()
        {
            self.start += first.len() as u64;
            self.size -= first.len();
        }
    }

    /// Whether it is worth going on from `offset`.
    fn reaches(&self, offset: u64) -> bool {
        offset <= self.start + self.size as u64 && self.start.saturating_sub(offset) <= GAP
    }

    /// What is kept of the bytes from `offset` on.
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

/// What comes of the download; dropped before its end, it leaves it where the next opening finds it.
struct Rest {
    relay: Relay,
    opening: u64,
    left: Option<Left>,
}

impl Stream for Rest {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(left) = &mut self.left else { return Poll::Ready(None) };
        let polled = left.stream.poll_next_unpin(context);
        match &polled {
            Poll::Ready(Some(Ok(chunk))) => left.kept.push(chunk),
            // What has come to its end is of use as long as what is missing is kept.
            Poll::Ready(None) => left.stream = stream::empty().boxed(),
            Poll::Ready(Some(Err(_))) => self.left = None,
            Poll::Pending => {}
        }
        polled
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        let mut slot = self.relay.slot();
        if slot.openings == self.opening {
            slot.left = self.left.take();
        }
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> Kept {
        let mut kept = Kept { start: 10, chunks: VecDeque::new(), size: 0 };
        for chunk in ["abc", "defg", "h"] {
            kept.push(&Bytes::from_static(chunk.as_bytes()));
        }
        kept
    }

    #[test]
    fn what_is_kept_is_found_again() {
        for (offset, expected) in [(0, "abcdefgh"), (10, "abcdefgh"), (12, "cdefgh"), (17, "h"), (18, "")] {
            assert_eq!(kept().from(offset).concat(), expected.as_bytes(), "{offset}");
            assert!(kept().reaches(offset), "{offset}");
        }
        // Nobody has what was not taken yet.
        assert!(!kept().reaches(19));
    }

    #[test]
    fn so_much_is_kept_and_no_more() {
        let mut kept = kept();
        let chunk = Bytes::from(vec![7; KEPT / 4]);
        (0..40).for_each(|_| kept.push(&chunk));
        assert_eq!((kept.size, kept.chunks.len()), (KEPT, 4));
        assert_eq!(kept.start, 10 + 8 + 36 * (KEPT as u64 / 4));
        assert!(kept.reaches(kept.start - GAP) && !kept.reaches(kept.start - GAP - 1));
    }
}
