//! Reads a whole file on one thread while another thread processes the bytes.

use std::io::{self, Read};
use std::ops::ControlFlow;
use std::sync::mpsc::sync_channel;
use std::thread;

use crate::{CHUNK, fill};

/// The number of bytes in one piece. Pieces are large, so that passing one between threads takes far less time than
/// hashing it.
const PIECE_SIZE: usize = 4 * CHUNK;
/// The number of pieces that are read ahead.
const MAX_PIECES_AHEAD: usize = 2;

/// Passes the bytes of `file`, from its position on, to `consume` in pieces. Returns true if it reached the end of
/// the file, and false if `consume` returned [`ControlFlow::Break`].
///
/// From the second piece on, a second thread reads ahead: reading takes a third of the time of hashing, and both
/// overlap. A small file needs no second thread. The function blocks, and uses memory for three pieces.
///
/// # Errors
/// The errors of reading. `consume` has already got the bytes before the error.
pub fn read_through(
    mut file: impl Read + Send,
    mut consume: impl FnMut(&[u8]) -> ControlFlow<()>,
) -> io::Result<bool> {
    let mut first = vec![0; CHUNK];
    let count = fill(&mut first, |unfilled, _| file.read(unfilled))?;
    if consume(&first[..count]).is_break() {
        return Ok(false);
    }
    if count < CHUNK {
        return Ok(true);
    }
    thread::scope(|scope| {
        let (filled, pieces) = sync_channel::<io::Result<(Vec<u8>, usize)>>(MAX_PIECES_AHEAD);
        let (empty, buffers) = sync_channel(MAX_PIECES_AHEAD + 1);
        // There is one buffer more than pieces ahead, because `consume` uses one of them.
        for _ in 0..=MAX_PIECES_AHEAD {
            drop(empty.send(vec![0; PIECE_SIZE]));
        }
        scope.spawn(move || {
            // Either channel fails when the consumer has stopped.
            while let Ok(mut buffer) = buffers.recv() {
                let read = fill(&mut buffer, |unfilled, _| file.read(unfilled)).map(|count| (buffer, count));
                let is_last = !matches!(read, Ok((_, PIECE_SIZE)));
                if filled.send(read).is_err() || is_last {
                    return;
                }
            }
        });
        for piece in pieces {
            let (buffer, count) = piece?;
            // Returning drops both channels, which ends the other thread.
            if consume(&buffer[..count]).is_break() {
                return Ok(false);
            }
            drop(empty.send(buffer));
        }
        Ok(true)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_all_bytes_in_order() {
        // The first piece is smaller than the following pieces.
        let ends = [CHUNK, PIECE_SIZE, CHUNK + PIECE_SIZE, CHUNK + 20 * PIECE_SIZE];
        let around = ends.into_iter().flat_map(|end| [end - 1, end, end + 1, end + 7]);
        for size in [0, 1].into_iter().chain(around) {
            let bytes: Vec<u8> = (0..size).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let mut seen = Vec::new();
            let is_complete = read_through(&bytes[..], |piece| {
                seen.extend_from_slice(piece);
                ControlFlow::Continue(())
            });
            assert!(is_complete.unwrap() && seen == bytes, "{size}");
        }
    }

    #[test]
    fn stops_on_break_and_on_read_error() {
        struct Broken(usize);
        impl Read for Broken {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.0 = self.0.checked_sub(1).ok_or(io::ErrorKind::Other)?;
                Ok(buffer.len())
            }
        }
        let mut taken = 0;
        let is_complete = read_through(io::repeat(7), |_| {
            taken += 1;
            if taken == 9 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert!(!is_complete.unwrap() && taken == 9);
        for good in [0, 1, 6] {
            let mut taken = 0;
            let failed = read_through(Broken(good), |_| {
                taken += 1;
                ControlFlow::Continue(())
            });
            assert!(failed.is_err() && taken == good, "{good}");
        }
    }
}
