//! Reading ahead on a thread of its own: what is read, and decompressed, is worked on meanwhile.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, Scope};

/// Bytes in one block, and blocks that are read ahead.
const BLOCK: usize = 128 * 1024;
const BLOCKS: usize = 8;

/// What a thread reads. Dropped, the thread ends with the next block.
pub(super) struct Ahead {
    blocks: Receiver<io::Result<Vec<u8>>>,
    block: Vec<u8>,
    at: usize,
}

impl Ahead {
    /// Reads what `open` gives.
    pub(super) fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        open: impl FnOnce() -> io::Result<Box<dyn Read>> + Send + 'scope,
    ) -> io::Result<Self> {
        let (to, blocks) = sync_channel(BLOCKS);
        let work = move || match open() {
            Ok(mut from) => while read(&mut from, &to) {},
            // Who is not there any more need not know.
            Err(error) => drop(to.send(Err(error))),
        };
        Builder::new().name("decompress".to_owned()).spawn_scoped(scope, work)?;
        Ok(Self { blocks, block: Vec::new(), at: 0 })
    }
}

/// Hands on a block; whether there is more to read, and somebody who takes it.
fn read(from: &mut impl Read, to: &SyncSender<io::Result<Vec<u8>>>) -> bool {
    let mut block = Vec::with_capacity(BLOCK);
    let read = from.take(BLOCK as u64).read_to_end(&mut block);
    // What came before an error is read before it.
    if !block.is_empty() && to.send(Ok(block)).is_err() {
        return false;
    }
    match read {
        Ok(count) => count > 0,
        Err(error) => {
            drop(to.send(Err(error)));
            false
        }
    }
}

impl Read for Ahead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.block.len() {
            match self.blocks.recv() {
                Ok(block) => (self.block, self.at) = (block?, 0),
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

    /// Gives bytes, then fails.
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
    fn everything_comes_and_then_the_error() {
        for size in [0, 1, BLOCK, 3 * BLOCK + 5] {
            std::thread::scope(|scope| {
                let mut ahead =
                    Ahead::start(scope, move || Ok(Box::new(Fails(size)) as Box<dyn Read>)).unwrap();
                let mut back = Vec::new();
                let failed = ahead.read_to_end(&mut back).unwrap_err();
                assert_eq!((back.len(), failed.to_string().as_str()), (size, "torn"));
            });
        }
    }

    #[test]
    fn what_is_not_wanted_is_not_read() {
        std::thread::scope(|scope| {
            let open = || Ok(Box::new(io::repeat(7)) as Box<dyn Read>);
            let mut ahead = Ahead::start(scope, open).unwrap();
            ahead.read_exact(&mut [0; 10]).unwrap();
            // The scope ends all the same.
        });
    }
}
