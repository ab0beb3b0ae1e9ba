//! Reads and decompresses ahead on a separate thread.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, Scope};

/// The bytes in one block.
const BLOCK: usize = 128 * 1024;
/// The number of blocks that are read ahead. Together they use at most 1 MiB.
const BLOCKS: usize = 8;

/// A reader of the blocks that another thread reads. Dropping it ends the thread after the next block.
pub(super) struct ReadAhead {
    blocks: Receiver<io::Result<Vec<u8>>>,
    block: Vec<u8>,
    at: usize,
}

impl ReadAhead {
    /// Starts a thread that opens and reads a stream.
    pub(super) fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        open: impl FnOnce() -> io::Result<Box<dyn Read>> + Send + 'scope,
    ) -> io::Result<Self> {
        let (sender, blocks) = sync_channel(BLOCKS);
        let work = move || match open() {
            Ok(mut from) => while send_block(&mut from, &sender) {},
            // If the receiver was dropped, no caller needs the error.
            Err(error) => drop(sender.send(Err(error))),
        };
        Builder::new().name("decompress".to_owned()).spawn_scoped(scope, work)?;
        Ok(Self { blocks, block: Vec::new(), at: 0 })
    }
}

/// Reads and sends one block. Returns false at the end of the stream, after an error, and if the receiver was dropped.
fn send_block(from: &mut impl Read, sender: &SyncSender<io::Result<Vec<u8>>>) -> bool {
    let mut block = Vec::with_capacity(BLOCK);
    let read = from.take(BLOCK as u64).read_to_end(&mut block);
    // The receiver gets the bytes before an error first.
    if !block.is_empty() && sender.send(Ok(block)).is_err() {
        return false;
    }
    match read {
        Ok(count) => count > 0,
        Err(error) => {
            drop(sender.send(Err(error)));
            false
        }
    }
}

impl Read for ReadAhead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.block.len() {
            match self.blocks.recv() {
                Ok(block) => (self.block, self.at) = (block?, 0),
                // The thread has ended. If it failed, it has sent the error as the last block.
                Err(_) => return Ok(0),
            }
        }
        let count = buffer.len().min(self.block.len() - self.at);
        buffer[..count].copy_from_slice(&self.block[self.at..self.at + count]);
        self.at += count;
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
