//! Reuses the buffers of one stream.

use std::sync::Arc;

use crate::Mutex;

/// A pool of the buffers of one stream. A buffer returns to the pool when the receiver drops its bytes.
///
/// A new buffer would cost a page fault for each 4 KiB, which takes half as long as hashing them.
#[derive(Debug, Default)]
pub(crate) struct BufferPool(Mutex<Vec<Vec<u8>>>);

impl BufferPool {
    /// Takes a buffer of `size` bytes from the pool, or allocates one.
    pub(crate) fn take(pool: &Arc<Self>, size: usize) -> PooledBuffer {
        let unused = pool.0.lock().pop();
        let mut bytes = unused.unwrap_or_default();
        // A reused buffer usually has this size already, so `resize` zeroes nothing.
        bytes.resize(size, 0);
        PooledBuffer { bytes, filled: 0, pool: Arc::clone(pool) }
    }
}

/// A buffer that returns to its pool when it is dropped. Its first `filled` bytes were read.
#[derive(Debug)]
pub(crate) struct PooledBuffer {
    pub(crate) bytes: Vec<u8>,
    pub(crate) filled: usize,
    pool: Arc<BufferPool>,
}

impl AsRef<[u8]> for PooledBuffer {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.filled).unwrap_or_default()
    }
}

impl Drop for PooledBuffer {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        self.pool.0.lock().push(bytes);
    }
}
