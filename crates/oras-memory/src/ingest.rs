//! Content that is written in pieces.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use futures::stream;
use oras_spec::{Algorithm, Descriptor, Digest, MediaType};
use oras_store::{Ingest, ReadBack, Result, Written};
use parking_lot::{Mutex, MutexGuard};

use crate::memory_bound::Reservation;
use crate::{Memory, mismatch};

/// Content that is written in pieces and becomes visible when it is committed.
pub(crate) struct MemoryIngest {
    store: Memory,
    media_type: MediaType,
    algorithm: Algorithm,
    bytes: Arc<Mutex<BytesMut>>,
    reservation: Reservation,
}

impl MemoryIngest {
    pub(crate) fn new(store: Memory, media_type: MediaType, algorithm: Algorithm) -> Self {
        let reservation = store.reservation();
        Self { store, media_type, algorithm, bytes: Arc::default(), reservation }
    }

    fn bytes(&self) -> MutexGuard<'_, BytesMut> {
        self.bytes.lock()
    }
}

#[async_trait]
impl Ingest for MemoryIngest {
    async fn write(&mut self, chunks: Vec<Bytes>) -> Result<()> {
        for chunk in chunks {
            // The bytes are reserved first, so the store never exceeds its limit.
            self.reservation.grow(chunk.len() as u64)?;
            self.bytes().extend_from_slice(&chunk);
        }
        Ok(())
    }

    fn pause(&mut self) -> Written {
        let size = self.bytes().len() as u64;
        let bytes = Arc::clone(&self.bytes);
        // The closure shares the buffer, so it can read while the content is still written.
        let read_back: ReadBack = Arc::new(move |range| {
            let bytes = bytes.lock();
            let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
            let found = &bytes[place(range.start)..place(range.end).max(place(range.start))];
            stream::iter((!found.is_empty()).then(|| Ok(Bytes::copy_from_slice(found)))).boxed()
        });
        Written { size, read_back: Some(read_back) }
    }

    async fn commit(self: Box<Self>, expected: Option<&Digest>) -> Result<Descriptor> {
        // The expected digest determines the algorithm, because digests of different algorithms cannot be compared.
        let algorithm = expected.and_then(Digest::algorithm).unwrap_or(self.algorithm);
        let bytes = std::mem::take(&mut *self.bytes()).freeze();
        let digest = Digest::of(algorithm, &bytes);
        if let Some(expected) = expected.filter(|expected| **expected != digest) {
            return Err(mismatch(expected, &digest));
        }
        let descriptor = Descriptor::new(self.media_type, digest, bytes.len() as u64);
        self.store.store(&descriptor, bytes, self.reservation)?;
        Ok(descriptor)
    }
}
