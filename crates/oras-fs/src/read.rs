//! Reads ranges of open files.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;

use crate::buffer_pool::BufferPool;
use crate::chunk_size::CHUNK;
use crate::read_ahead::read_ahead;
use oras_store::ByteStream;

/// Streams the bytes of `file` within `range`. `name` is for error messages.
///
/// Chunks in the page cache are read without a thread. At the first chunk that needs the disk, a blocking thread
/// starts to read ahead. The thread ends when the stream is dropped, or when the receiver takes no chunk for a while.
///
/// A file that is shorter than the range ends the stream early. The position of the file is not used, so several
/// streams can share one handle.
pub fn read(file: impl Into<Arc<File>>, range: Range<u64>, name: String) -> ByteStream {
    let state = ReadState::Cached { file: file.into(), range, pool: Arc::default(), name };
    futures::stream::unfold(state, |state| async move {
        let mut stream = match state {
            ReadState::Cached { file, range, pool, name } => match cached_chunk(&file, &range, &pool) {
                Some(chunk) => {
                    let range = range.start + chunk.len() as u64..range.end;
                    return Some((Ok(chunk), ReadState::Cached { file, range, pool, name }));
                }
                // The following bytes probably need the disk, too, so the stream stays with the blocking thread.
                None => read_range_ahead(file, range, name),
            },
            ReadState::Ahead(stream) => stream,
        };
        Some((stream.next().await?, ReadState::Ahead(stream)))
    })
    .boxed()
}

/// How a stream reads its next chunk.
enum ReadState {
    /// From the page cache, on the thread of the receiver.
    Cached { file: Arc<File>, range: Range<u64>, pool: Arc<BufferPool>, name: String },
    /// On a blocking thread that reads ahead.
    Ahead(ByteStream),
}

/// Reads the next chunk if it is in the page cache.
fn cached_chunk(file: &File, range: &Range<u64>, pool: &Arc<BufferPool>) -> Option<Bytes> {
    let remaining = range.end.saturating_sub(range.start);
    let size = usize::try_from(remaining).map_or(CHUNK, |remaining| remaining.min(CHUNK));
    let mut buffer = BufferPool::take(pool, size);
    buffer.filled = read_cached_at(file, &mut buffer.bytes, range.start)?;
    // Zero bytes mean the end of the file. The blocking thread then ends the stream.
    (buffer.filled > 0).then(|| Bytes::from_owner(buffer))
}

/// Reads at `offset` if that needs no wait for the disk. `RWF_NOWAIT` makes the system call fail instead of waiting.
#[cfg(target_os = "linux")]
fn read_cached_at(file: &File, buffer: &mut [u8], offset: u64) -> Option<usize> {
    use rustix::io::{ReadWriteFlags, preadv2};
    preadv2(file, &mut [io::IoSliceMut::new(buffer)], offset, ReadWriteFlags::NOWAIT).ok()
}

#[cfg(not(target_os = "linux"))]
fn read_cached_at(_: &File, _: &mut [u8], _: u64) -> Option<usize> {
    None
}

/// Streams `range` of `file`, reading ahead on a blocking thread from the first byte.
fn read_range_ahead(file: Arc<File>, range: Range<u64>, name: String) -> ByteStream {
    let mut offset = range.start;
    let read = move |buffer: &mut [u8]| {
        let count = read_some_at(&file, buffer, offset)?;
        offset += count as u64;
        Ok(count)
    };
    read_ahead(read, range.end.saturating_sub(range.start), name)
}

/// Streams the bytes of `file` from its position to its end, reading ahead on a blocking thread. Works for pipes and
/// terminals, too.
pub fn read_to_end(mut file: File, name: String) -> ByteStream {
    read_ahead(move |buffer| file.read(buffer), u64::MAX, name)
}

/// Fills `buffer` with the bytes from `offset`, and returns their number. It is smaller than `buffer` only at the end
/// of the file. The position of the file is not used.
pub fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    fill(buffer, |unfilled, filled| read_some_at(file, unfilled, offset + filled as u64))
}

/// Returns all bytes of `file`, or `None` if the file has more or fewer than `size` bytes.
pub fn read_whole(file: &File, size: u64) -> io::Result<Option<Bytes>> {
    let size = usize::try_from(size).map_err(io::Error::other)?;
    // One byte more than `size` detects a longer file without a request for its metadata.
    let mut bytes = vec![0; size + 1];
    if read_at(file, &mut bytes, 0)? != size {
        return Ok(None);
    }
    bytes.truncate(size);
    Ok(Some(bytes.into()))
}

/// Calls `read` until `buffer` is full or `read` returns 0, and returns the number of bytes.
///
/// `read` gets the unfilled part of the buffer and the number of filled bytes.
pub fn fill(
    buffer: &mut [u8],
    mut read: impl FnMut(&mut [u8], usize) -> io::Result<usize>,
) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match read(&mut buffer[filled..], filled) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(unix)]
fn read_some_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, offset)
}

#[cfg(windows)]
fn read_some_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, offset)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use futures::TryStreamExt;

    use super::*;

    #[tokio::test]
    async fn streams_share_one_handle() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        let file = Arc::new(file);
        let read_cached = |file: Arc<File>, range, name| read(file, range, name);
        for read in [read_cached as fn(_, _, _) -> _, read_range_ahead] {
            let all = |range| read(Arc::clone(&file), range, "f".into()).try_collect::<Vec<_>>();
            let (head, tail, beyond) = futures::future::join3(all(0..4), all(6..10), all(8..20)).await;
            assert_eq!(head.unwrap().concat(), b"0123");
            assert_eq!(tail.unwrap().concat(), b"6789");
            assert_eq!(beyond.unwrap().concat(), b"89");
        }
    }

    #[test]
    fn frees_the_thread_while_the_receiver_is_slow() {
        let mut file = tempfile::tempfile().unwrap();
        let bytes: Vec<u8> = (0..64 * CHUNK).map(|at| (at / 7) as u8).collect();
        file.write_all(&bytes).unwrap();
        let file = Arc::new(file);
        let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
        let received = runtime.block_on(async {
            // `read` would need no thread for a file in the page cache.
            let mut slow = read_range_ahead(Arc::clone(&file), 0..bytes.len() as u64, "f".into());
            let first = slow.try_next().await.unwrap().unwrap();
            // Both streams share one thread.
            let other =
                read_range_ahead(Arc::clone(&file), 5..8, "f".into()).try_collect::<Vec<_>>().await.unwrap();
            assert_eq!(other.concat(), bytes[5..8]);
            let remaining = slow.try_collect::<Vec<_>>().await.unwrap();
            [vec![first], remaining].concat()
        });
        assert!(received.concat() == bytes);
    }
}
