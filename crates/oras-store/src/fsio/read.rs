//! Reading ahead on a blocking thread, into buffers that are used again.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::StreamExt;
use tokio::sync::mpsc;

use super::{CHUNK, QUEUE};
use crate::{ByteStream, Error, Result};

/// The bytes of `file` within `range`, read ahead by a blocking thread that ends when the stream is dropped.
///
/// A file that is shorter than the range ends the stream early; nothing beyond the range is read. Where the file
/// stands does not matter, so any number of streams may share one handle.
pub fn read(file: impl Into<Arc<File>>, range: Range<u64>, name: String) -> ByteStream {
    let (file, mut at) = (file.into(), range.start);
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
    mut next: impl FnMut(&mut [u8]) -> io::Result<usize> + Send + 'static,
    length: u64,
    name: String,
) -> ByteStream {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let failed = move |error| Error::io(format!("failed to read {name}"), error);
    drop(tokio::task::spawn_blocking(move || {
        let pool = Arc::new(Pool::default());
        let mut left = length;
        while left > 0 {
            let mut piece = Pool::take(&pool, usize::try_from(left).map_or(CHUNK, |left| left.min(CHUNK)));
            match next(&mut piece.buffer) {
                Ok(0) => return,
                Ok(count) => {
                    left -= count as u64;
                    piece.filled = count;
                    if sender.blocking_send(Ok(Bytes::from_owner(piece))).is_err() {
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    drop(sender.blocking_send(Err(failed(error))));
                    return;
                }
            }
        }
    }));
    receive(receiver)
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
        let free = pool.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
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
        self.pool.0.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
    }
}

fn receive(receiver: mpsc::Receiver<Result<Bytes>>) -> ByteStream {
    futures::stream::unfold(receiver, |mut receiver| async move {
        let item = receiver.recv().await?;
        Some((item, receiver))
    })
    .boxed()
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
        let all = |range| read(Arc::clone(&file), range, "f".into()).try_collect::<Vec<_>>();
        let (head, tail, beyond) = futures::join!(all(0..4), all(6..10), all(8..20));
        assert_eq!(head.unwrap().concat(), b"0123");
        assert_eq!(tail.unwrap().concat(), b"6789");
        assert_eq!(beyond.unwrap().concat(), b"89");
    }
}
