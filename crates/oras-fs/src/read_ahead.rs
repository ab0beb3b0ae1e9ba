//! Reads ahead on a blocking thread that pauses while the receiver is slow.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::buffer_pool::BufferPool;
use crate::chunk_size::CHUNK;
use crate::send_timeout::{SendOutcome, send_timeout};
use oras_store::{ByteStream, Error, Result};

/// The number of chunks that one stream reads ahead. It bounds memory: a server has one stream for each client.
const MAX_CHUNKS_AHEAD: usize = 8;

/// Streams at most `length` bytes that `read` returns, reading ahead on a blocking thread. `name` is for error
/// messages.
///
/// `read` fills the front of a buffer and returns 0 at the end. The thread ends when the stream is dropped, or when the
/// receiver takes no chunk for a while. A new thread starts when the receiver has taken all chunks.
pub(crate) fn read_ahead(
    read: impl FnMut(&mut [u8]) -> io::Result<usize> + Send + 'static,
    length: u64,
    name: String,
) -> ByteStream {
    let reader = Reader { read: Box::new(read), remaining: length, pool: Arc::default(), name };
    futures::stream::unfold(reader.start(None), |(mut receiver, thread)| async move {
        if let Some(item) = receiver.recv().await {
            return Some((item, (receiver, thread)));
        }
        // The channel is closed: the thread has ended, or it has paused and returns the reader.
        let PausedReader { reader, unsent } = match thread.await {
            Ok(paused) => paused?,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime is shutting down and did not run the thread.
                Err(_) => return None,
            },
        };
        let (mut receiver, thread) = reader.start(Some(unsent));
        Some((receiver.recv().await?, (receiver, thread)))
    })
    .boxed()
}

/// Fills the front of a buffer and returns the number of bytes, or 0 at the end.
type ReadFn = Box<dyn FnMut(&mut [u8]) -> io::Result<usize> + Send>;

/// The unread part of one stream, and the function that reads it.
struct Reader {
    read: ReadFn,
    remaining: u64,
    pool: Arc<BufferPool>,
    name: String,
}

/// A reader without a thread, and the chunk or error that the receiver did not take.
struct PausedReader {
    reader: Reader,
    unsent: Result<Bytes>,
}

impl Reader {
    /// Starts a thread that first sends `unsent` and then reads.
    fn start(
        self,
        unsent: Option<Result<Bytes>>,
    ) -> (mpsc::Receiver<Result<Bytes>>, JoinHandle<Option<PausedReader>>) {
        let (sender, receiver) = mpsc::channel(MAX_CHUNKS_AHEAD);
        (receiver, tokio::task::spawn_blocking(move || self.run(unsent, &sender)))
    }

    /// Reads until the end, or until the receiver is slow or closed. Returns the reader only if the receiver is slow.
    fn run(
        mut self,
        mut unsent: Option<Result<Bytes>>,
        sender: &mpsc::Sender<Result<Bytes>>,
    ) -> Option<PausedReader> {
        loop {
            let chunk = match unsent.take() {
                Some(chunk) => chunk,
                None if self.remaining == 0 => return None,
                None => self.read_chunk().transpose()?,
            };
            // An error ends the stream, so the thread reads nothing after it.
            if chunk.is_err() {
                self.remaining = 0;
            }
            match send_timeout(sender, chunk) {
                SendOutcome::Sent => (),
                // Returning frees the thread. A slow client must not keep a thread of the pool.
                SendOutcome::TimedOut(unsent) => return Some(PausedReader { reader: self, unsent }),
                SendOutcome::Closed => return None,
            }
        }
    }

    fn read_chunk(&mut self) -> Result<Option<Bytes>> {
        let size = usize::try_from(self.remaining).map_or(CHUNK, |remaining| remaining.min(CHUNK));
        let mut buffer = BufferPool::take(&self.pool, size);
        loop {
            match (self.read)(&mut buffer.bytes) {
                Ok(0) => return Ok(None),
                Ok(count) => {
                    self.remaining -= count as u64;
                    buffer.filled = count;
                    return Ok(Some(Bytes::from_owner(buffer)));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::io(format!("failed to read {}", self.name), error)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;

    use super::*;

    #[tokio::test]
    async fn slow_receiver_gets_the_error_after_all_chunks() {
        let mut chunks = 0;
        let read = move |_: &mut [u8]| {
            chunks += 1;
            if chunks > MAX_CHUNKS_AHEAD { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(1) }
        };
        let mut slow = read_ahead(read, u64::MAX, "f".into());
        std::thread::sleep(std::time::Duration::from_millis(500));
        for _ in 0..MAX_CHUNKS_AHEAD {
            assert_eq!(slow.try_next().await.unwrap().unwrap().len(), 1);
        }
        assert!(slow.try_next().await.unwrap_err().to_string().contains("failed to read f"));
        assert!(slow.try_next().await.unwrap().is_none());
    }
}
