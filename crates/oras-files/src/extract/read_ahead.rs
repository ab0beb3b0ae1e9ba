//! Reads and decompresses ahead on a separate thread.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{Builder, Scope};

use bytes::{Buf, Bytes};

/// The bytes in one block.
const BLOCK: usize = 128 * 1024;
/// The number of blocks that are read ahead. Together they use at most 1 MiB.
const BLOCKS: usize = 8;

/// A reader of the blocks that another thread reads. Dropping it ends the thread after the next block.
pub(crate) struct ReadAhead {
    blocks: Receiver<io::Result<Bytes>>,
    block: Bytes,
}

impl ReadAhead {
    /// Reads the blocks from a channel. The closed channel is the end of the stream.
    pub(crate) fn new(blocks: Receiver<io::Result<Bytes>>) -> Self {
        Self { blocks, block: Bytes::new() }
    }

    /// Starts a thread that opens and reads a stream.
    pub(super) fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        open: impl FnOnce() -> io::Result<Box<dyn Read>> + Send + 'scope,
    ) -> io::Result<Self> {
        let (sender, blocks) = sync_channel(BLOCKS);
        let work = move || {
            let mut from = match open() {
                Ok(from) => from,
                Err(error) => return drop(sender.send(Err(error))),
            };
            loop {
                let mut block = Vec::with_capacity(BLOCK);
                let read = (&mut from).take(BLOCK as u64).read_to_end(&mut block);
                // The receiver gets the bytes before an error first. If it was dropped, no caller needs the error.
                if !block.is_empty() && sender.send(Ok(block.into())).is_err() {
                    return;
                }
                match read {
                    Ok(0) => return,
                    Ok(_) => {}
                    Err(error) => return drop(sender.send(Err(error))),
                }
            }
        };
        Builder::new().name("decompress".to_owned()).spawn_scoped(scope, work)?;
        Ok(Self::new(blocks))
    }
}

impl Read for ReadAhead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.block.is_empty() {
            match self.blocks.recv() {
                Ok(block) => self.block = block?,
                // The thread has ended. If it failed, it has sent the error as the last block.
                Err(_) => return Ok(0),
            }
        }
        let count = buffer.len().min(self.block.len());
        self.block.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reader that gives some bytes, then an error.
    struct Fails(usize);

    impl Read for Fails {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = buffer.len().min(self.0);
            if count == 0 {
                return Err(io::Error::other("torn"));
            }
            buffer[..count].fill(7);
            self.0 -= count;
            Ok(count)
        }
    }

    #[test]
    fn returns_all_bytes_before_the_error() {
        for size in [0, 1, BLOCK, 3 * BLOCK + 5] {
            std::thread::scope(|scope| {
                let mut ahead =
                    ReadAhead::start(scope, move || Ok(Box::new(Fails(size)) as Box<dyn Read>)).unwrap();
                let mut back = Vec::new();
                let failed = ahead.read_to_end(&mut back).unwrap_err();
                assert_eq!((back.len(), failed.to_string().as_str()), (size, "torn"));
            });
        }
    }

    #[test]
    fn stops_reading_when_dropped() {
        std::thread::scope(|scope| {
            let open = || Ok(Box::new(io::repeat(7)) as Box<dyn Read>);
            let mut ahead = ReadAhead::start(scope, open).unwrap();
            ahead.read_exact(&mut [0; 10]).unwrap();
            // The scope waits for the thread, which ends because the reader is dropped.
        });
    }
}
