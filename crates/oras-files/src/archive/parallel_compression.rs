//! Compresses a stream on all cores: one thread produces blocks, a worker per core compresses them, and the calling
//! thread passes them on in order.
//!
//! Block `n` goes to worker `n % workers`, and its result comes back from there, so the order needs no bookkeeping. The
//! bounded queues of the workers bound the memory.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use bytes::Bytes;
use oras_spec::{Algorithm, Digest, Hasher};
use oras_store::{Error, Result};

use super::compression::{Codec, Compression};

/// Uncompressed bytes in one block. Each block starts with an empty window, which costs compression. At this size
/// gzip with the default level still compresses better than the Go tool.
pub(super) const BLOCK: usize = 1280 * 1024;
/// The maximum number of workers. Each worker needs memory for its blocks, and more workers would gain little speed.
const MAX_WORKERS: usize = 8;

/// The digests and the size of a packed directory.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PackedDirectory {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    /// The digest of the uncompressed tar.
    pub(crate) content_digest: Digest,
}

/// Returns the number of workers: one per core, up to a maximum.
pub(super) fn workers() -> usize {
    thread::available_parallelism().map_or(1, usize::from).min(MAX_WORKERS)
}

/// Compresses the output of `produce` with `workers` threads, and passes the result to `sink` in order.
///
/// # Errors
/// Returns an error of `sink`, which also makes the writer of `produce` fail, or else an error of `produce`.
pub(super) fn compress_all(
    compression: Compression,
    workers: usize,
    produce: impl FnOnce(&mut BlockWriter) -> Result<()> + Send,
    mut sink: impl FnMut(Bytes) -> Result<()>,
) -> Result<PackedDirectory> {
    let failed = |error| Error::io("failed to compress", error);
    thread::scope(|scope| {
        let mut to_workers = Vec::new();
        let mut from_workers = Vec::new();
        for _ in 0..workers.max(1) {
            // One waiting block in each direction keeps a worker busy while its neighbours finish.
            let (to_worker, blocks) = sync_channel(1);
            let (from_worker, compressed) = sync_channel(1);
            let mut codec = Codec::new(compression).map_err(failed)?;
            let work = move || {
                // Ends when no blocks remain or the receiver is dropped.
                while let Ok(block) = blocks.recv() {
                    if from_worker.send(codec.compress(block)).is_err() {
                        return;
                    }
                }
            };
            thread::Builder::new().name("compress".to_owned()).spawn_scoped(scope, work).map_err(failed)?;
            to_workers.push(to_worker);
            from_workers.push(compressed);
        }
        let mut blocks = BlockWriter {
            workers: to_workers,
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
        let drained = drain(from_workers, &mut sink);
        // `drain` has returned and has closed its channels, so the producer ends, too.
        let produced = producer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        // An error of the sink is what made the producer fail, so it comes first.
        let (digest, size) = drained?;
        Ok(PackedDirectory { digest, size, content_digest: produced? })
    })
}

/// Passes the compressed blocks to `sink`, one from each worker in turn. If the next worker has no block, no other
/// worker has a block.
fn drain(
    workers: Vec<Receiver<io::Result<Bytes>>>,
    sink: &mut impl FnMut(Bytes) -> Result<()>,
) -> Result<(Digest, u64)> {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let mut size = 0;
    for worker in workers.iter().cycle() {
        let Ok(compressed) = worker.recv() else { break };
        let compressed = compressed.map_err(|error| Error::io("failed to compress", error))?;
        hasher.update(&compressed);
        size += compressed.len() as u64;
        sink(compressed)?;
    }
    Ok((hasher.finish(), size))
}

/// A writer that hashes bytes, cuts them into blocks, and distributes the blocks to the workers.
pub(super) struct BlockWriter {
    workers: Vec<SyncSender<Vec<u8>>>,
    block: Vec<u8>,
    count: usize,
    hasher: Hasher,
}

impl BlockWriter {
    fn submit(&mut self) -> io::Result<()> {
        let block = std::mem::replace(&mut self.block, Vec::with_capacity(BLOCK));
        self.hasher.update(&block);
        // Blocks until the worker takes the block, which stops the producer from running ahead.
        let worker = &self.workers[self.count % self.workers.len()];
        self.count += 1;
        worker.send(block).map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "the receiver was closed"))
    }

    /// Submits the last block and returns the digest of all bytes. An empty stream gives one empty block, because an
    /// empty file is not valid gzip.
    fn finish(mut self) -> io::Result<Digest> {
        if !self.block.is_empty() || self.count == 0 {
            self.submit()?;
        }
        Ok(self.hasher.finish())
    }
}

impl Write for BlockWriter {
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
    use oras_store::ErrorKind;
    use std::io::Read;

    fn pack(compression: Compression, workers: usize, data: &[u8]) -> (PackedDirectory, Vec<u8>) {
        let mut out = Vec::new();
        let produce =
            |blocks: &mut BlockWriter| blocks.write_all(data).map_err(|error| Error::io("write", error));
        let packed = compress_all(compression, workers, produce, |bytes| {
            out.extend_from_slice(&bytes);
            Ok(())
        });
        (packed.unwrap(), out)
    }

    fn unpack(compression: Compression, data: &[u8]) -> Vec<u8> {
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
    fn unpacks_to_the_same_bytes_for_any_number_of_workers() {
        for compression in [Compression::None, Compression::Gzip(1), Compression::Zstd(1)] {
            for size in [0, 1, BLOCK, 3 * BLOCK + 7] {
                let data: Vec<u8> = (0..size).map(|at| u8::try_from(at * 7 % 251).unwrap()).collect();
                let (one, out) = pack(compression, 1, &data);
                assert_eq!((&one, &out), (&pack(compression, 3, &data).0, &pack(compression, 8, &data).1));
                assert_eq!(one.digest, Digest::sha256(&out));
                assert_eq!(one.content_digest, Digest::sha256(&data));
                assert_eq!(one.size, out.len() as u64);
                assert!(unpack(compression, &out) == data, "{compression:?} of {size} bytes");
            }
        }
    }

    #[test]
    fn writes_gzip_headers_without_name_and_time() {
        let (_, out) = pack(Compression::Gzip(6), 2, b"x");
        assert_eq!(out[..8], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn stops_when_the_sink_fails() {
        let endless = |blocks: &mut BlockWriter| loop {
            blocks.write_all(&[7; 4096]).map_err(|error| Error::io("write", error))?;
        };
        let mut taken = 0;
        let failed = compress_all(Compression::Gzip(1), 2, endless, |_| {
            taken += 1;
            if taken < 5 { Ok(()) } else { Err(Error::new(ErrorKind::Network, "cut")) }
        });
        assert_eq!((failed.unwrap_err().kind(), taken), (ErrorKind::Network, 5));
    }

    #[test]
    fn returns_the_error_of_the_producer() {
        let failing = |blocks: &mut BlockWriter| {
            blocks.write_all(&[7; 3 * BLOCK]).map_err(|error| Error::io("write", error))?;
            Err(Error::new(ErrorKind::Denied, "no"))
        };
        let failed = compress_all(Compression::Zstd(1), 2, failing, |_| Ok(()));
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::Denied);
    }
}
