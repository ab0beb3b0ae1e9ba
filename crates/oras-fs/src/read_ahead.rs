//! Reads ahead on a blocking thread, in batches of chunks.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::buffer_pool::BufferPool;
use crate::{CHUNK, failed_to};
use oras_store::{ByteStream, Result};

/// The number of chunks that one stream reads ahead. It bounds memory: a server has one stream for each client.
const MAX_CHUNKS_AHEAD: usize = 8;
/// The receiver takes the chunks of one batch while a thread reads the next batch.
const BATCH: usize = MAX_CHUNKS_AHEAD / 2;

/// Streams at most `length` bytes that `read` returns, reading ahead on a blocking thread. `name` is for error
/// messages.
///
/// `read` fills the front of a buffer and returns 0 at the end. No thread waits for the receiver: the thread pool is
/// limited, and a server has slow clients.
pub(crate) fn read_ahead(
    read: impl FnMut(&mut [u8]) -> io::Result<usize> + Send + 'static,
    length: u64,
    name: String,
) -> ByteStream {
    let reader = Reader { read: Box::new(read), remaining: length, pool: Arc::default(), name };
    let state = (Vec::new().into_iter(), Some(reader.start()));
    futures::stream::unfold(state, |(mut chunks, mut running)| async move {
        loop {
            if let Some(chunk) = chunks.next() {
                return Some((chunk, (chunks, running)));
            }
            let batch = match running.take()?.await {
                Ok(batch) => batch,
                Err(error) => match error.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    // The runtime is shutting down and did not run the thread.
                    Err(_) => return None,
                },
            };
            (chunks, running) = (batch.chunks.into_iter(), batch.reader.map(Reader::start));
        }
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

/// The chunks that one call read, and the reader of the next chunks. It is `None` at the end and after an error.
struct Batch {
    chunks: Vec<Result<Bytes>>,
    reader: Option<Reader>,
}

impl Reader {
    /// Reads a batch on a blocking thread.
    fn start(self) -> JoinHandle<Batch> {
        spawn_blocking(move || self.read_batch())
    }

    fn read_batch(mut self) -> Batch {
        let mut chunks = Vec::with_capacity(BATCH);
        while self.remaining > 0 && chunks.len() < BATCH {
            let chunk = self.read_chunk();
            // A pipe has no more bytes now, and the receiver must not wait for them.
            let is_short = matches!(&chunk, Some(Ok(bytes)) if bytes.len() < CHUNK);
            chunks.extend(chunk);
            if is_short {
                break;
            }
        }
        Batch { chunks, reader: (self.remaining > 0).then_some(self) }
    }

    /// Reads the next chunk. Returns `None` at the end. The end and an error set `remaining` to 0.
    fn read_chunk(&mut self) -> Option<Result<Bytes>> {
        let size = usize::try_from(self.remaining).map_or(CHUNK, |remaining| remaining.min(CHUNK));
        let mut buffer = BufferPool::take(&self.pool, size);
        loop {
            match (self.read)(&mut buffer.bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(count) if count > 0 => {
                    self.remaining -= count as u64;
                    buffer.filled = count;
                    return Some(Ok(Bytes::from_owner(buffer)));
                }
                ended => {
                    self.remaining = 0;
                    return ended.err().map(|error| Err(failed_to("read", &self.name)(error)));
                }
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
