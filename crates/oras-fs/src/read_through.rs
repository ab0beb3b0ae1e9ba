//! Reading all of a file while what was read is worked on.

use std::io::{self, Read};
use std::ops::ControlFlow;
use std::sync::mpsc::sync_channel;
use std::thread;

use super::CHUNK;
use super::read::fill;

/// So much at once that to hand it over takes no time beside its hash.
const PIECE: usize = 4 * CHUNK;
/// Pieces that are read ahead.
const AHEAD: usize = 2;

/// Hands `take` all that `file` has from where it stands, in pieces, until it breaks; whether it came to the end.
///
/// From the second piece on another thread reads: a third of the time that a hash takes. Blocks; memory is a few
/// [`CHUNK`]s.
///
/// # Errors
/// Those of reading; what was handed on before stays handed on.
pub fn read_through(
    mut file: impl Read + Send,
    mut take: impl FnMut(&[u8]) -> ControlFlow<()>,
) -> io::Result<bool> {
    let mut first = vec![0; CHUNK];
    let count = fill(&mut first, |rest, _| file.read(rest))?;
    if take(&first[..count]).is_break() {
        return Ok(false);
    }
    if count < CHUNK {
        return Ok(true);
    }
    thread::scope(|scope| {
        let (filled, pieces) = sync_channel::<io::Result<(Vec<u8>, usize)>>(AHEAD);
        let (empty, buffers) = sync_channel(AHEAD + 1);
        for _ in 0..=AHEAD {
            drop(empty.send(vec![0; PIECE]));
        }
        scope.spawn(move || {
            // Whoever takes is gone when either end is.
            while let Ok(mut buffer) = buffers.recv() {
                let read = fill(&mut buffer, |rest, _| file.read(rest)).map(|count| (buffer, count));
                let is_last = !matches!(read, Ok((_, PIECE)));
                if filled.send(read).is_err() || is_last {
                    return;
                }
            }
        });
        for piece in pieces {
            let (buffer, count) = piece?;
            if take(&buffer[..count]).is_break() {
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
    fn everything_is_handed_on_in_order() {
        // The first piece is smaller than those behind it.
        let ends = [CHUNK, PIECE, CHUNK + PIECE, CHUNK + 20 * PIECE];
        let around = ends.into_iter().flat_map(|end| [end - 1, end, end + 1, end + 7]);
        for size in [0, 1].into_iter().chain(around) {
            let bytes: Vec<u8> = (0..size).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let mut seen = Vec::new();
            let ended = read_through(&bytes[..], |piece| {
                seen.extend_from_slice(piece);
                ControlFlow::Continue(())
            });
            assert!(ended.unwrap() && seen == bytes, "{size}");
        }
    }

    #[test]
    fn it_ends_when_nobody_takes_and_when_nothing_can_be_read() {
        struct Broken(usize);
        impl Read for Broken {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.0 = self.0.checked_sub(1).ok_or(io::ErrorKind::Other)?;
                Ok(buffer.len())
            }
        }
        let mut taken = 0;
        let stopped = read_through(io::repeat(7), |_| {
            taken += 1;
            if taken == 9 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert!(!stopped.unwrap() && taken == 9);
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
