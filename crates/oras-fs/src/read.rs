//! Reading ahead on a blocking thread, into buffers that are used again.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::CHUNK;
use super::idle_send::{Sent, send};
use oras_store::{ByteStream, Error, Result};

/// Pieces that are read and not taken yet, of each stream: a server has as many as it has clients.
const AHEAD: usize = 8;

/// The bytes of `file` within `range`: taken at once as long as the system has them in memory, else read ahead by a blocking
/// thread that ends when the stream is dropped, and rests while nobody takes what it read.
///
/// A file that is shorter than the range ends the stream early; nothing beyond the range is read. Where the file
/// stands does not matter, so any number of streams may share one handle.
pub fn read(file: impl Into<Arc<File>>, range: Range<u64>, name: String) -> ByteStream {
    let begun = Reading::Cached { file: file.into(), range, pool: Arc::default(), name };
    futures::stream::unfold(begun, |reading| async move {
        let mut ahead = match reading {
            Reading::Cached { file, range, pool, name } => match cached(&file, &range, &pool) {
                Some(piece) => {
                    let range = range.start + piece.len() as u64..range.end;
                    return Some((Ok(piece), Reading::Cached { file, range, pool, name }));
                }
                None => ahead(file, range, name),
            },
            Reading::Ahead(stream) => stream,
        };
        Some((ahead.next().await?, Reading::Ahead(ahead)))
    })
    .boxed()
}

/// How the next piece of a file comes.
enum Reading {
    Cached { file: Arc<File>, range: Range<u64>, pool: Arc<Pool>, name: String },
    Ahead(ByteStream),
}

/// The next piece, if it can be had without waiting for a disk.
fn cached(file: &File, range: &Range<u64>, pool: &Arc<Pool>) -> Option<Bytes> {
    let left = range.end.saturating_sub(range.start);
    let mut piece = Pool::take(pool, usize::try_from(left).map_or(CHUNK, |left| left.min(CHUNK)));
    piece.filled = read_cached_at(file, &mut piece.buffer, range.start)?;
    (piece.filled > 0).then(|| Bytes::from_owner(piece))
}

#[cfg(target_os = "linux")]
fn read_cached_at(file: &File, buffer: &mut [u8], offset: u64) -> Option<usize> {
    use rustix::io::{ReadWriteFlags, preadv2};
    preadv2(file, &mut [io::IoSliceMut::new(buffer)], offset, ReadWriteFlags::NOWAIT).ok()
}

#[cfg(not(target_os = "linux"))]
fn read_cached_at(_: &File, _: &mut [u8], _: u64) -> Option<usize> {
    None
}

/// Reads ahead from the beginning of the range.
fn ahead(file: Arc<File>, range: Range<u64>, name: String) -> ByteStream {
    let mut at = range.start;
    let next = move |buffer: &mut [u8]| {
        let count = read_some_at(&file, buffer, at)?;
        at += count as u64;
        Ok(count)
    };
    read_ahead(next, range.end.saturating_sub(range.start), name)
}

/// The bytes of `file` from where it stands to its end, read like those of [`read`]: for pipes and terminals.
pub fn read_to_end(mut file: File, name: String) -> ByteStream {
    read_ahead(move |buffer| file.read(buffer), u64::MAX, name)
}

/// Fills `buffer` from `offset` on, wherever `file` stands; fewer bytes than asked only at the end of the file.
pub fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    fill(buffer, |rest, filled| read_some_at(file, rest, offset + filled as u64))
}

/// All bytes of `file`, wherever it stands; `None` unless they are `size` bytes.
pub fn read_whole(file: &File, size: u64) -> io::Result<Option<Bytes>> {
    let size = usize::try_from(size).map_err(io::Error::other)?;
    // Room for one byte more, which shows that there are more.
    let mut bytes = vec![0; size + 1];
    if read_at(file, &mut bytes, 0)? != size {
        return Ok(None);
    }
    bytes.truncate(size);
    Ok(Some(bytes.into()))
}

/// Fills `buffer` by `next`, which gets what is still empty and how much is not; fewer bytes only at the end.
pub(super) fn fill(
    buffer: &mut [u8],
    mut next: impl FnMut(&mut [u8], usize) -> io::Result<usize>,
) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match next(&mut buffer[filled..], filled) {
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

fn read_ahead(
    next: impl FnMut(&mut [u8]) -> io::Result<usize> + Send + 'static,
    length: u64,
    name: String,
) -> ByteStream {
    let reader = Reader { next: Box::new(next), left: length, pool: Arc::default(), name };
    futures::stream::unfold(reader.start(None), |(mut receiver, job)| async move {
        if let Some(item) = receiver.recv().await {
            return Some((item, (receiver, job)));
        }
        let (reader, held) = match job.await {
            Ok(rest) => rest?,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => return None,
            },
        };
        let (mut receiver, job) = reader.start(Some(held));
        Some((receiver.recv().await?, (receiver, job)))
    })
    .boxed()
}

/// Fills the front of a buffer; nothing at the end.
type Next = Box<dyn FnMut(&mut [u8]) -> io::Result<usize> + Send>;

/// What is left to read.
struct Reader {
    next: Next,
    left: u64,
    pool: Arc<Pool>,
    name: String,
}

/// A reader that rests, with the piece, or the error, that nobody took.
type ResumedWrite = Option<(Reader, Result<Bytes>)>;

impl Reader {
    /// Goes on reading on a thread, after a piece that was read before.
    fn start(self, held: Option<Result<Bytes>>) -> (mpsc::Receiver<Result<Bytes>>, JoinHandle<ResumedWrite>) {
        let (sender, receiver) = mpsc::channel(AHEAD);
        (receiver, tokio::task::spawn_blocking(move || self.run(held, &sender)))
    }

    /// Reads until the end, or until nobody takes what was read.
    fn run(mut self, mut held: Option<Result<Bytes>>, sender: &mpsc::Sender<Result<Bytes>>) -> ResumedWrite {
        loop {
            let piece = match held.take() {
                Some(piece) => piece,
                None if self.left == 0 => return None,
                None => self.read().transpose()?,
            };
            if piece.is_err() {
                self.left = 0;
            }
            match send(sender, piece) {
                Sent::Taken => (),
                Sent::Waiting(piece) => return Some((self, piece)),
                Sent::Gone => return None,
            }
        }
    }

    fn read(&mut self) -> Result<Option<Bytes>> {
        let size = usize::try_from(self.left).map_or(CHUNK, |left| left.min(CHUNK));
        let mut piece = Pool::take(&self.pool, size);
        loop {
            match (self.next)(&mut piece.buffer) {
                Ok(0) => return Ok(None),
                Ok(count) => {
                    self.left -= count as u64;
                    piece.filled = count;
                    return Ok(Some(Bytes::from_owner(piece)));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::io(format!("failed to read {}", self.name), error)),
            }
        }
    }
}

/// Buffers of one stream that are filled again when whoever got them lets go: new ones would cost a page fault for
/// each 4 KiB, half as much as the hash.
#[derive(Debug, Default)]
struct Pool(Mutex<Vec<Vec<u8>>>);

/// A buffer, and how much of it was read.
#[derive(Debug)]
struct Piece {
    buffer: Vec<u8>,
    filled: usize,
    pool: Arc<Pool>,
}

impl Pool {
    fn take(pool: &Arc<Self>, size: usize) -> Piece {
        let free = pool.0.lock().pop();
        let mut buffer = free.unwrap_or_default();
        buffer.resize(size, 0);
        Piece { buffer, filled: 0, pool: Arc::clone(pool) }
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        self.buffer.get(..self.filled).unwrap_or_default()
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.buffer);
        self.pool.0.lock().push(buffer);
    }
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
        let cached = |file: Arc<File>, range, name| read(file, range, name);
        for read in [cached as fn(_, _, _) -> _, ahead] {
            let all = |range| read(Arc::clone(&file), range, "f".into()).try_collect::<Vec<_>>();
            let (head, tail, beyond) = futures::join!(all(0..4), all(6..10), all(8..20));
            assert_eq!(head.unwrap().concat(), b"0123");
            assert_eq!(tail.unwrap().concat(), b"6789");
            assert_eq!(beyond.unwrap().concat(), b"89");
        }
    }

    #[test]
    fn a_stream_that_nobody_takes_keeps_no_thread() {
        let mut file = tempfile::tempfile().unwrap();
        let bytes: Vec<u8> = (0..64 * CHUNK).map(|at| (at / 7) as u8).collect();
        file.write_all(&bytes).unwrap();
        let file = Arc::new(file);
        let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
        let slow = runtime.block_on(async {
            // What the system has in memory needs no thread at all.
            let mut slow = ahead(Arc::clone(&file), 0..bytes.len() as u64, "f".into());
            let first = slow.try_next().await.unwrap().unwrap();
            // There is one thread for both.
            let other = ahead(Arc::clone(&file), 5..8, "f".into()).try_collect::<Vec<_>>().await.unwrap();
            assert_eq!(other.concat(), bytes[5..8]);
            let rest = slow.try_collect::<Vec<_>>().await.unwrap();
            [vec![first], rest].concat()
        });
        assert!(slow.concat() == bytes);
    }

    #[tokio::test]
    async fn an_error_waits_for_who_is_slow() {
        let mut pieces = 0;
        let next = move |_: &mut [u8]| {
            pieces += 1;
            if pieces > AHEAD { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(1) }
        };
        let mut slow = read_ahead(next, u64::MAX, "f".into());
        std::thread::sleep(std::time::Duration::from_millis(500));
        for _ in 0..AHEAD {
            assert_eq!(slow.try_next().await.unwrap().unwrap().len(), 1);
        }
        assert!(slow.try_next().await.unwrap_err().to_string().contains("failed to read f"));
        assert!(slow.try_next().await.unwrap().is_none());
    }
}
