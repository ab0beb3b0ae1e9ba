//! From a stream of bytes to compressed blocks in order: a thread that produces, a thread for each core that
//! compresses, and the one that hands on.
//!
//! Block `n` goes to worker `n % workers` and comes back from there, so the order needs no books, and the bounded
//! queues of the workers bound what is in memory.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

use bytes::Bytes;
use oras_spec::{Algorithm, Digest, Hasher};
use oras_store::{Error, Result};

use super::compression::{Codec, Compression};

/// Uncompressed bytes in one block: each begins with an empty window, and at this size gzip of the default level loses
/// less by that than it gains on the Go tool's.
pub(super) const BLOCK: usize = 1280 * 1024;
/// More workers would need more memory than their speed is worth.
const MAX_WORKERS: usize = 8;

/// What went through.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Packed {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    /// Of the uncompressed bytes.
    pub(crate) content_digest: Digest,
}

pub(super) fn workers() -> usize {
    thread::available_parallelism().map_or(1, usize::from).min(MAX_WORKERS)
}

/// Compresses what `produce` writes on `workers` threads, and hands it to `sink` in order.
///
/// An error of `sink` ends `produce` by an error of its writer.
pub(super) fn run(
    compression: Compression,
    workers: usize,
    produce: impl FnOnce(&mut Blocks) -> Result<()> + Send,
    mut sink: impl FnMut(Bytes) -> Result<()>,
) -> Result<Packed> {
    let failed = |error| Error::io("failed to compress", error);
    thread::scope(|scope| {
        let (recycle, free) = channel();
        let (mut full, mut done) = (Vec::new(), Vec::new());
        for _ in 0..workers.max(1) {
            let (to_worker, blocks) = sync_channel(1);
            let (from_worker, compressed) = sync_channel(1);
            let (codec, recycle) = (Codec::new(compression).map_err(failed)?, recycle.clone());
            let work = move || compress(codec, &blocks, &recycle, &from_worker);
            thread::Builder::new().name("compress".to_owned()).spawn_scoped(scope, work).map_err(failed)?;
            full.push(to_worker);
            done.push(compressed);
        }
        let mut blocks = Blocks {
            workers: full,
            free,
            block: Vec::with_capacity(BLOCK),
            count: 0,
            hasher: Hasher::new(Algorithm::Sha256),
        };
        let produce = move || {
            produce(&mut blocks)?;
            blocks.finish().map_err(failed)
        };
        let producer =
            thread::Builder::new().name("tar".to_owned()).spawn_scoped(scope, produce).map_err(failed)?;
        let drained = drain(done, &mut sink);
        let content_digest = match producer.join() {
            Ok(produced) => drained.and_then(|drained| Ok((drained, produced?))),
            Err(panic) => std::panic::resume_unwind(panic),
        };
        let ((digest, size), content_digest) = content_digest?;
        Ok(Packed { digest, size, content_digest })
    })
}

/// Takes the blocks in turn, until the worker whose turn it is has none; then nobody has.
fn drain(
    workers: Vec<Receiver<io::Result<Bytes>>>,
    sink: &mut impl FnMut(Bytes) -> Result<()>,
) -> Result<(Digest, u64)> {
    let (mut hasher, mut size) = (Hasher::new(Algorithm::Sha256), 0);
    for worker in workers.iter().cycle() {
        let Ok(compressed) = worker.recv() else { break };
        let compressed = compressed.map_err(|error| Error::io("failed to compress", error))?;
        hasher.update(&compressed);
        size += compressed.len() as u64;
        sink(compressed)?;
    }
    Ok((hasher.finish(), size))
}

/// Compresses blocks until there are no more, or nobody wants them; gives their buffers back.
fn compress(
    mut codec: Codec,
    blocks: &Receiver<Vec<u8>>,
    recycle: &Sender<Vec<u8>>,
    to: &SyncSender<io::Result<Bytes>>,
) {
    while let Ok(mut block) = blocks.recv() {
        let compressed = codec.compress(&block);
        block.clear();
        // The producer may have finished.
        drop(recycle.send(block));
        if to.send(compressed).is_err() {
            return;
        }
    }
}

/// Takes bytes, hashes them and deals them out in blocks.
pub(super) struct Blocks {
    workers: Vec<SyncSender<Vec<u8>>>,
    free: Receiver<Vec<u8>>,
    block: Vec<u8>,
    count: usize,
    hasher: Hasher,
}

impl Blocks {
    fn submit(&mut self) -> io::Result<()> {
        let next = self.free.try_recv().unwrap_or_else(|_| Vec::with_capacity(BLOCK));
        let block = std::mem::replace(&mut self.block, next);
        self.hasher.update(&block);
        let worker = &self.workers[self.count % self.workers.len()];
        self.count += 1;
        worker.send(block).map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "nobody takes the bytes"))
    }

    /// Deals out what is left; the digest of all bytes. Even nothing at all is a block, as an empty file is no gzip.
    fn finish(mut self) -> io::Result<Digest> {
        if !self.block.is_empty() || self.count == 0 {
            self.submit()?;
        }
        Ok(self.hasher.finish())
    }
}

impl Write for Blocks {
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

#[cfg(test)]
mod tests {
    use super::*;
    use oras_store::Kind;
    use std::io::Read;

    fn packed(compression: Compression, workers: usize, data: &[u8]) -> (Packed, Vec<u8>) {
        let mut out = Vec::new();
        let produce = |blocks: &mut Blocks| blocks.write_all(data).map_err(|error| Error::io("write", error));
        let packed = run(compression, workers, produce, |bytes| {
            out.extend_from_slice(&bytes);
            Ok(())
        });
        (packed.unwrap(), out)
    }

    fn unpacked(compression: Compression, data: &[u8]) -> Vec<u8> {
        let mut back = Vec::new();
        match compression {
            Compression::None => back.extend_from_slice(data),
            Compression::Gzip(_) => {
                flate2::read::MultiGzDecoder::new(data).read_to_end(&mut back).map(drop).unwrap();
            }
            Compression::Zstd(_) => back = zstd::decode_all(data).unwrap(),
        }
        back
    }

    #[test]
    fn comes_back_and_does_not_depend_on_workers() {
        for compression in [Compression::None, Compression::Gzip(1), Compression::Zstd(1)] {
            for size in [0, 1, BLOCK, 3 * BLOCK + 7] {
                let data: Vec<u8> = (0..size).map(|at| u8::try_from(at * 7 % 251).unwrap()).collect();
                let (one, out) = packed(compression, 1, &data);
                assert_eq!(
                    (&one, &out),
                    (&packed(compression, 3, &data).0, &packed(compression, 8, &data).1)
                );
                assert_eq!(one.digest, Digest::sha256(&out));
                assert_eq!(one.content_digest, Digest::sha256(&data));
                assert_eq!(one.size, out.len() as u64);
                assert!(unpacked(compression, &out) == data, "{compression:?} of {size} bytes");
            }
        }
    }

    #[test]
    fn headers_have_no_name_and_no_time() {
        let (_, out) = packed(Compression::Gzip(6), 2, b"x");
        assert_eq!(out[..8], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn a_sink_that_fails_ends_the_work() {
        let endless = |blocks: &mut Blocks| loop {
            blocks.write_all(&[7; 4096]).map_err(|error| Error::io("write", error))?;
        };
        let mut taken = 0;
        let failed = run(Compression::Gzip(1), 2, endless, |_| {
            taken += 1;
            if taken < 5 { Ok(()) } else { Err(Error::new(Kind::Network, "cut")) }
        });
        assert_eq!((failed.unwrap_err().kind(), taken), (Kind::Network, 5));
    }

    #[test]
    fn a_producer_that_fails_is_heard() {
        let failing = |blocks: &mut Blocks| {
            blocks.write_all(&[7; 3 * BLOCK]).map_err(|error| Error::io("write", error))?;
            Err(Error::new(Kind::Denied, "no"))
        };
        let failed = run(Compression::Zstd(1), 2, failing, |_| Ok(()));
        assert_eq!(failed.unwrap_err().kind(), Kind::Denied);
    }
}
