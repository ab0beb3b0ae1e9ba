//! The two-phase sink: for a writer that learns the digest only at the end, such as an upload to a server.

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt;
use oras_spec::{Algorithm, Descriptor, Digest, MediaType};

use crate::{Error, Kind, Pushed, Result, Undigested};

/// Content that is being written. Dropping it leaves nothing visible.
#[async_trait]
pub trait Ingest: Send {
    /// Takes the next bytes.
    async fn write(&mut self, chunk: Bytes) -> Result<()>;

    /// The number of bytes taken so far.
    fn written(&self) -> u64;

    /// Verifies the bytes, against `expected` too if given, makes them durable and publishes them atomically.
    ///
    /// # Errors
    /// [`Kind::DigestMismatch`](crate::Kind::DigestMismatch) or `SizeMismatch`; nothing is visible then.
    async fn commit(self: Box<Self>, expected: Option<&Digest>) -> Result<Descriptor>;

    /// Gives the content up: nothing of it is left, not even at a registry that could be told.
    async fn abort(self: Box<Self>) {}
}

/// A store that takes content piece by piece.
#[async_trait]
pub trait IngestTarget: Send + Sync {
    /// Begins to write content that will be visible after [`Ingest::commit`].
    ///
    /// The digest is computed by `algorithm`; `media_type` is what the content will be described as.
    async fn begin(&self, media_type: MediaType, algorithm: Algorithm) -> Result<Box<dyn Ingest>>;

    /// Stores bytes whose digest is not known yet, hashing them while they are taken; their descriptor, and whether
    /// they were there already.
    ///
    /// # Errors
    /// Those of reading, [`Kind::SizeMismatch`] when there are more or fewer bytes than said; nothing is visible then.
    async fn ingest(&self, content: &Undigested) -> Result<(Descriptor, Pushed)> {
        let mut ingest = self.begin(content.media_type.clone(), Algorithm::Sha256).await?;
        let mut stream = content.open(0).await?;
        while let Some(chunk) = stream.try_next().await? {
            ingest.write(chunk).await?;
        }
        if ingest.written() != content.size {
            let message = format!("content has {} bytes, not {}", ingest.written(), content.size);
            return Err(Error::new(Kind::SizeMismatch, message));
        }
        Ok((ingest.commit(None).await?, Pushed::Copied))
    }
}
