//! Writes of content whose digest is known only at the end, such as an upload to a server.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt;
use oras_spec::{Algorithm, Descriptor, Digest, MediaType};

use crate::{ByteStream, Error, ErrorKind, Pushed, Result, UnhashedContent};

/// Reads a range of the bytes that were written to an [`Ingest`]. The stream ends early if fewer bytes were written.
pub type ReadBack = Arc<dyn Fn(Range<u64>) -> ByteStream + Send + Sync>;

/// Content that is being written to a store. No reader sees it before [`Ingest::commit`].
///
/// If it is dropped, its bytes are deleted, except those of [`IngestTarget::begin_named`].
#[async_trait]
pub trait Ingest: Send {
    /// Appends `chunk`.
    async fn write(&mut self, chunk: Bytes) -> Result<()>;

    /// Appends several chunks in one call. The default calls [`Ingest::write`] for each chunk.
    ///
    /// A store that writes on another thread wakes that thread only once.
    async fn write_all(&mut self, chunks: Vec<Bytes>) -> Result<()> {
        for chunk in chunks {
            self.write(chunk).await?;
        }
        Ok(())
    }

    /// Returns the number of bytes written so far.
    fn written(&self) -> u64;

    /// Returns a function that reads the bytes written so far, unverified, while more are written.
    ///
    /// The default is `None`: the store cannot read them. The function may return no bytes after the ingest is
    /// committed or dropped.
    async fn read_back(&mut self) -> Option<ReadBack> {
        None
    }

    /// Verifies the bytes, makes them durable and publishes them atomically. Returns their descriptor.
    ///
    /// # Errors
    /// [`ErrorKind::DigestMismatch`](crate::ErrorKind::DigestMismatch) if the digest is not `expected`, or
    /// `SizeMismatch`. The content is not published then.
    async fn commit(self: Box<Self>, expected: Option<&Digest>) -> Result<Descriptor>;

    /// Releases resources between two writes, such as an open file. The next call acquires them again. The default
    /// releases nothing.
    fn park(&mut self) {}

    /// Deletes the bytes, also those of [`IngestTarget::begin_named`]. A remote store also deletes its upload session.
    /// The default only drops the ingest.
    async fn abort(self: Box<Self>) {}
}

/// A store that content can be written to before its digest is known.
#[async_trait]
pub trait IngestTarget: Send + Sync {
    /// Starts a write of content with `media_type`. The digest of the content is computed with `algorithm`.
    async fn begin(&self, media_type: MediaType, algorithm: Algorithm) -> Result<Box<dyn Ingest>>;

    /// Starts a write like [`IngestTarget::begin`] that [`IngestTarget::resume`] can continue, even after the program
    /// ended.
    ///
    /// The bytes stay if the [`Ingest`] is dropped or the program is killed. The store deletes them if the write is
    /// not resumed within a day. The default ignores `name`, and the bytes do not stay.
    ///
    /// `name` must be unique and consist of lower-case letters and digits. A caller that knows the name can resume
    /// the write.
    async fn begin_named(
        &self,
        _name: &str,
        media_type: MediaType,
        algorithm: Algorithm,
    ) -> Result<Box<dyn Ingest>> {
        self.begin(media_type, algorithm).await
    }

    /// Resumes the write of [`IngestTarget::begin_named`] after its last byte. The store hashes the existing bytes
    /// again.
    ///
    /// Returns `None` if there is no write with this name: it was committed or aborted, or the store does not support
    /// it. The default is `None`.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`] while another [`Ingest`] of this or another process writes the content.
    async fn resume(
        &self,
        _name: &str,
        _media_type: MediaType,
        _algorithm: Algorithm,
    ) -> Result<Option<Box<dyn Ingest>>> {
        Ok(None)
    }

    /// Stores `content` and computes its digest. Returns its descriptor and the outcome, as
    /// [`Target::push`](crate::Target::push) does.
    ///
    /// # Errors
    /// The errors of reading, and [`ErrorKind::SizeMismatch`] if `content` has another size than its description. The
    /// content is not published then.
    async fn ingest(&self, content: &UnhashedContent) -> Result<(Descriptor, Pushed)> {
        // Every implementation must support SHA-256 (image-spec, descriptor.md "SHA-256").
        let mut ingest = self.begin(content.media_type.clone(), Algorithm::Sha256).await?;
        let mut stream = content.open(0).await?;
        while let Some(chunk) = stream.try_next().await? {
            ingest.write(chunk).await?;
        }
        // Without an expected digest, `commit` cannot detect that the stream ended early.
        if ingest.written() != content.size {
            let message = format!("content has {} bytes, not {}", ingest.written(), content.size);
            return Err(Error::new(ErrorKind::SizeMismatch, message));
        }
        Ok((ingest.commit(None).await?, Pushed::Copied))
    }
}
