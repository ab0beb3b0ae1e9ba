//! Gzip on all cores: blocks of 1 MiB, each a gzip member of its own (RFC 1952, 2.2: a file is a series of
//! members), compressed by a bounded set of threads and written in order.
//!
//! The block size does not depend on the number of cores, so neither do the bytes.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::thread::{self, JoinHandle};

use libdeflater::{CompressionLvl, Compressor};

/// Uncompressed bytes in one member.
const BLOCK: usize = 1024 * 1024;

/// Writes what is written to it compressed to `W`.
pub(super) struct ParallelGzip<W: Write> {
    out: W,
    block: Vec<u8>,
    running: VecDeque<JoinHandle<io::Result<Vec<u8>>>>,
    workers: usize,
    empty: bool,
}

impl<W: Write> ParallelGzip<W> {
    pub(super) fn new(out: W) -> Self {
        let workers = thread::available_parallelism().map_or(1, usize::from).min(16);
        Self { out, block: Vec::with_capacity(BLOCK), running: VecDeque::new(), workers, empty: true }
    }

    fn submit(&mut self) -> io::Result<()> {
        if self.running.len() >= self.workers {
            self.write_oldest()?;
        }
        let block = std::mem::replace(&mut self.block, Vec::with_capacity(BLOCK));
        self.empty = false;
        self.running
            .push_back(thread::Builder::new().name("gzip".to_owned()).spawn(move || compress(&block))?);
        Ok(())
    }

    fn write_oldest(&mut self) -> io::Result<()> {
        let Some(oldest) = self.running.pop_front() else { return Ok(()) };
        let member = oldest.join().map_err(|_| io::Error::other("a compression thread panicked"))??;
        self.out.write_all(&member)
    }

    /// Writes what is left.
    pub(super) fn finish(mut self) -> io::Result<W> {
        if !self.block.is_empty() || self.empty {
            self.submit()?;
        }
        while !self.running.is_empty() {
            self.write_oldest()?;
        }
        Ok(self.out)
    }
}

impl<W: Write> Write for ParallelGzip<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(BLOCK - self.block.len());
        self.block.extend_from_slice(&bytes[..count]);
        if self.block.len() == BLOCK {
            self.submit()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One member, as small as Go's default level makes it; the header has no name and no time.
fn compress(block: &[u8]) -> io::Result<Vec<u8>> {
    let level =
        CompressionLvl::new(6).map_err(|_| io::Error::other("compression level 6 is not supported"))?;
    let mut compressor = Compressor::new(level);
    let mut member = vec![0; compressor.gzip_compress_bound(block.len())];
    let length = compressor.gzip_compress(block, &mut member).map_err(io::Error::other)?;
    member.truncate(length);
    Ok(member)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn comes_back_and_does_not_depend_on_workers() {
        for size in [0, 1, BLOCK, 3 * BLOCK + 7] {
            let data: Vec<u8> = (0..size).map(|at| u8::try_from(at * 7 % 251).unwrap()).collect();
            let mut outputs = Vec::new();
            for workers in [1, 3] {
                let mut gzip = ParallelGzip::new(Vec::new());
                gzip.workers = workers;
                gzip.write_all(&data).unwrap();
                outputs.push(gzip.finish().unwrap());
            }
            assert_eq!(outputs[0], outputs[1]);
            assert_eq!(outputs[0][..4], [0x1f, 0x8b, 8, 0]);
            assert_eq!(outputs[0][4..8], [0; 4]);
            let mut back = Vec::new();
            flate2::read::MultiGzDecoder::new(&outputs[0][..]).read_to_end(&mut back).unwrap();
            assert_eq!(back, data);
        }
    }
}
