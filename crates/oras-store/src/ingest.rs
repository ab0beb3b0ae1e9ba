//! The two-phase sink: for a writer that learns the digest only at the end, such as an upload to a server.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt;
use oras_spec::{Algorithm, Descriptor, Digest, MediaType};

use crate::{ByteStream, Error, ErrorKind, Pushed, Result, UnhashedContent};

/// Reads what an [`Ingest`] has taken, within a range; the stream ends early where it has taken no more.
pub type ReadBack = Arc<dyn Fn(Range<u64>) -> ByteStream + Send + Sync>;

/// Content that is being written. Dropping it leaves nothing visible, and nothing at all unless it was begun with a name.
#[async_trait]
pub trait Ingest: Send {
    /// Takes the next bytes.
    async fn write(&mut self, chunk: Bytes) -> Result<()>;

    /// Takes several pieces in one step, which is cheaper where a step is one to another thread.
    async fn write_all(&mut self, chunks: Vec<Bytes>) -> Result<()> {
        for chunk in chunks {
            self.write(chunk).await?;
        }
        Ok(())
    }

    /// The number of bytes taken so far.
    fn written(&self) -> u64;

    /// What reads the bytes taken so far, unverified, while more are taken; `None` where they can't be read back, as by
    /// default. It may find nothing any more once the ingest was committed or dropped.
    async fn read_back(&mut self) -> Option<ReadBack> {
        None
    }

    /// Verifies the bytes, against `expected` too if given, makes them durable and publishes them atomically.
    ///
    /// # Errors
    /// [`ErrorKind::DigestMismatch`](crate::ErrorKind::DigestMismatch) or `SizeMismatch`; nothing is visible then.
    async fn commit(self: Box<Self>, expected: Option<&Digest>) -> Result<Descriptor>;

    /// Releases what the content needs of the system while nobody writes it, such as an open file. The next call gets it back.
    /// By default nothing is released.
    fn park(&mut self) {}

    /// Gives the content up: nothing of it is left, whether it has a name or not, and not at a registry that could be told
    /// either.
    async fn abort(self: Box<Self>) {}
}

/// A store that takes content piece by piece.
#[async_trait]
pub trait IngestTarget: Send + Sync {
    /// Begins to write content that will be visible after [`Ingest::commit`].
    ///
    /// The digest is computed by `algorithm`; `media_type` is what the content will be described as.
    async fn begin(&self, media_type: MediaType, algorithm: Algorithm) -> Result<Box<dyn Ingest>>;

    /// Like [`IngestTarget::begin`], of content that outlives the program, where the store can do that: what was written
    /// stays when the [`Ingest`] is dropped or the program is killed, until [`IngestTarget::resume`] finds it, or nobody
    /// comes for it within a day. By default nothing stays.
    ///
    /// `name` is lower-case letters and digits, and nothing else has it. Whoever knows it can go on with the content.
    async fn begin_named(
        &self,
        _name: &str,
        media_type: MediaType,
        algorithm: Algorithm,
    ) -> Result<Box<dyn Ingest>> {
        self.begin(media_type, algorithm).await
    }

    /// The content that was begun with that name, after the last byte that was written; `None` when there is none, as it was
    /// committed or aborted, or the store keeps none. What is there is hashed again, so that it need not be trusted.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`] while another [`Ingest`] writes it, in this or another process.
    async fn resume(
        &self,
        _name: &str,
        _media_type: MediaType,
        _algorithm: Algorithm,
    ) -> Result<Option<Box<dyn Ingest>>> {
        Ok(None)
    }

    /// Stores bytes whose digest is not known yet, hashing them while they are taken; their descriptor, and whether
    /// they were there already.
    ///
    /// # Errors
    /// Those of reading, [`ErrorKind::SizeMismatch`] when there are more or fewer bytes than said; nothing is visible then.
    async fn ingest(&self, content: &UnhashedContent) -> Result<(Descriptor, Pushed)> {
        let mut ingest = self.begin(content.media_type.clone(), Algorithm::Sha256).await?;
        let mut stream = content.open(0).await?;
        while let Some(chunk) = stream.try_next().await? {
            ingest.write(chunk).await?;
        }
        if ingest.written() != content.size {
            let message = format!("content has {} bytes, not {}", ingest.written(), content.size);
            return Err(Error::new(ErrorKind::SizeMismatch, message));
        }
        Ok((ingest.commit(None).await?, Pushed::Copied))
    }
}
