//! Content that is written piece by piece.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use futures::stream;
use oras_spec::{Algorithm, Descriptor, Digest, MediaType};
use oras_store::{Ingest, ReadBack, Result};
use parking_lot::{Mutex, MutexGuard};

use crate::bound::Room;
use crate::{Memory, mismatch};

/// Bytes that are not visible until they are committed.
pub(crate) struct MemoryIngest {
    store: Memory,
    media_type: MediaType,
    algorithm: Algorithm,
    bytes: Arc<Mutex<BytesMut>>,
    room: Room,
}

impl MemoryIngest {
    pub(crate) fn new(store: Memory, media_type: MediaType, algorithm: Algorithm) -> Self {
        let room = store.room();
        Self { store, media_type, algorithm, bytes: Arc::default(), room }
    }

    fn bytes(&self) -> MutexGuard<'_, BytesMut> {
        lock(&self.bytes)
    }
}

/// Never held across an await.
fn lock(bytes: &Mutex<BytesMut>) -> MutexGuard<'_, BytesMut> {
    bytes.lock()
}

#[async_trait]
impl Ingest for MemoryIngest {
    async fn write(&mut self, chunk: Bytes) -> Result<()> {
        self.room.grow(chunk.len() as u64)?;
        self.bytes().extend_from_slice(&chunk);
        Ok(())
    }

    fn written(&self) -> u64 {
        self.bytes().len() as u64
    }

    async fn read_back(&mut self) -> Option<ReadBack> {
        let bytes = Arc::clone(&self.bytes);
        Some(Arc::new(move |range| {
            let bytes = lock(&bytes);
            let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
            let found = &bytes[place(range.start)..place(range.end).max(place(range.start))];
            stream::iter((!found.is_empty()).then(|| Ok(Bytes::copy_from_slice(found)))).boxed()
        }))
    }

    async fn commit(self: Box<Self>, expected: Option<&Digest>) -> Result<Descriptor> {
        let algorithm = expected.and_then(Digest::algorithm).unwrap_or(self.algorithm);
        let bytes = std::mem::take(&mut *self.bytes()).freeze();
        let digest = Digest::of(algorithm, &bytes);
        if let Some(expected) = expected.filter(|expected| **expected != digest) {
            return Err(mismatch(expected, &digest));
        }
        let descriptor = Descriptor::new(self.media_type, digest, bytes.len() as u64);
        self.store.store(&descriptor, bytes, self.room)?;
        Ok(descriptor)
    }
}
