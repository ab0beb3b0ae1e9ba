//! A limit on the memory of stores.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use oras_store::{Error, Result};

/// A limit on the bytes that one or more stores hold, including content that is still written. A server uses it to
/// bound its memory.
///
/// ```
/// use oras_memory::store::spec::MediaType;
/// use oras_memory::{Memory, MemoryBound};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> oras_memory::store::Result<()> {
/// let bound = MemoryBound::new(20);
/// let (first, second) = (Memory::bounded(&bound), Memory::bounded(&bound));
/// first.push_blob(MediaType::OCTET_STREAM, "hello world\n").await?;
/// assert!(second.push_blob(MediaType::OCTET_STREAM, "hello again\n").await.is_err());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct MemoryBound(Arc<Usage>);

#[derive(Debug)]
struct Usage {
    limit: u64,
    used: AtomicU64,
}

impl MemoryBound {
    /// Makes a limit of `limit` bytes.
    pub fn new(limit: u64) -> Self {
        Self(Arc::new(Usage { limit, used: AtomicU64::new(0) }))
    }
}

/// A reservation of bytes, which is released when it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Reservation {
    bound: Option<MemoryBound>,
    bytes: u64,
}

impl Reservation {
    pub(crate) fn new(bound: Option<MemoryBound>) -> Self {
        Self { bound, bytes: 0 }
    }

    /// Reserves `bytes` more bytes.
    ///
    /// # Errors
    /// `Io` with [`io::ErrorKind::StorageFull`] if the total exceeds the limit. The reservation is then unchanged.
    pub(crate) fn grow(&mut self, bytes: u64) -> Result<()> {
        if let Some(MemoryBound(usage)) = &self.bound {
            // The counter guards no other memory, so relaxed ordering is enough.
            let grown = |used: u64| used.checked_add(bytes).filter(|used| *used <= usage.limit);
            let counted = usage.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown);
            counted.map_err(|_| {
                let message = format!("the bound of {} bytes in memory is reached", usage.limit);
                Error::io(message, io::Error::from(io::ErrorKind::StorageFull))
            })?;
        }
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(MemoryBound(usage)) = &self.bound {
            usage.used.fetch_sub(self.bytes, Ordering::Relaxed);
        }
    }
}
