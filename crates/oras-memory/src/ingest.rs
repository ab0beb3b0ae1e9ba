//! Content that arrives piece by piece.

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use oras_spec::{Algorithm, Descriptor, Digest, MediaType};
use oras_store::{Ingest, Result};

use crate::{Memory, mismatch};

/// Bytes kept aside until they are committed.
pub(crate) struct MemoryIngest {
    store: Memory,
    media_type: MediaType,
    algorithm: Algorithm,
    bytes: BytesMut,
}

impl MemoryIngest {
    pub(crate) fn new(store: Memory, media_type: MediaType, algorithm: Algorithm) -> Self {
        Self { store, media_type, algorithm, bytes: BytesMut::new() }
    }
}

#[async_trait]
impl Ingest for MemoryIngest {
    async fn write(&mut self, chunk: Bytes) -> Result<()> {
        self.bytes.extend_from_slice(&chunk);
        Ok(())
    }

    fn written(&self) -> u64 {
        self.bytes.len() as u64
    }

    async fn commit(self: Box<Self>, expected: Option<&Digest>) -> Result<Descriptor> {
        let algorithm = expected.and_then(Digest::algorithm).unwrap_or(self.algorithm);
        let digest = Digest::of(algorithm, &self.bytes);
        if let Some(expected) = expected.filter(|expected| **expected != digest) {
            return Err(mismatch(expected, &digest));
        }
        let descriptor = Descriptor::new(self.media_type, digest, self.bytes.len() as u64);
        self.store.store(&descriptor, self.bytes.freeze())?;
        Ok(descriptor)
    }
}
