//! Writes of content whose digest is known only at the end, such as an upload to a server.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt;
use oras_spec::{Algorithm, Descriptor, Digest, MediaType};

use crate::{ByteStream, Error, ErrorKind, Pushed, Result, Target, UnhashedContent};

/// Reads a range of the bytes that were written to an [`Ingest`], unverified. A proxy sends them to its clients while
/// it downloads more. The stream ends early if fewer bytes were written, and may be empty after the ingest is committed
/// or dropped.
pub type ReadBack = Arc<dyn Fn(Range<u64>) -> ByteStream + Send + Sync>;

/// The bytes that were written to an [`Ingest`]. A server reads from it how much of an upload has arrived.
pub struct Written {
    /// The number of bytes.
    pub size: u64,
    /// Reads the bytes while more are written. `None` if the store cannot read them.
    pub read_back: Option<ReadBack>,
}

/// What [`IngestTarget::begin`] begins: the media type, the algorithm of the digest, and a name for a write that can be
/// resumed. [`IngestOptions::new`] is enough for a write that the program completes itself.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct IngestOptions<'a> {
    /// The media type of the content.
    pub media_type: MediaType,
    /// The algorithm of the digest that is computed while the bytes are written. [`Ingest::commit`] may name a digest
    /// of another algorithm.
    pub algorithm: Algorithm,
    /// Whether the write can be resumed.
    pub name: IngestName<'a>,
}

impl<'a> IngestOptions<'a> {
    crate::setters! {
        media_type: MediaType;
        algorithm: Algorithm;
        name: IngestName<'a>;
    }
}

impl IngestOptions<'_> {
    /// Makes options for a write without a name and with a SHA-256 digest, which every implementation must support
    /// (image-spec, descriptor.md "SHA-256").
    pub fn new(media_type: MediaType) -> Self {
        Self { media_type, algorithm: Algorithm::Sha256, name: IngestName::Unnamed }
    }
}

/// The name of a write, by which a later call can resume it. It is a field of [`IngestOptions`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IngestName<'a> {
    /// The write has no name, and its bytes are deleted if the [`Ingest`] is dropped.
    #[default]
    Unnamed,
    /// Begins a write that [`IngestName::Resume`] can continue, even after the program ended. The bytes stay if the
    /// [`Ingest`] is dropped or the program is killed. The store deletes them if the write is not resumed within a day.
    ///
    /// The name must be unique and consist of lower-case letters and digits. A caller that knows it can resume the
    /// write. A store that cannot resume writes ignores the name, and the bytes do not stay.
    New(&'a str),
    /// Continues the write of this name after its last byte, at the offset that [`Ingest::pause`] returns. The store
    /// hashes the existing bytes again. A name that is not well-formed names no write.
    Resume(&'a str),
}

impl<'a> IngestName<'a> {
    /// Returns the text of the name.
    pub fn text(&self) -> Option<&'a str> {
        match self {
            Self::Unnamed => None,
            Self::New(name) | Self::Resume(name) => Some(name),
        }
    }
}

/// Content that is being written to a store, as a server does with an upload. No reader sees it before
/// [`Ingest::commit`].
///
/// If it is dropped, its bytes are deleted, except those of a write with a name.
#[async_trait]
pub trait Ingest: Send {
    /// Appends `chunks`, of any number and size, in their order. No chunks, or empty ones, append nothing. A store
    /// that writes on another thread wakes that thread once for all of them.
    async fn write(&mut self, chunks: Vec<Bytes>) -> Result<()>;

    /// Releases resources, such as the open file of a write with a name, until the next call. Returns what was written
    /// so far. [`Written::read_back`] stays valid while more bytes are written, and returns those bytes, too.
    fn pause(&mut self) -> Written;

    /// Verifies the bytes, makes them durable and publishes them atomically. Returns their descriptor: the media type
    /// of the options, the size, and the digest.
    ///
    /// The algorithm of `expected` may differ from that of the options; the store then hashes the bytes again. The
    /// digest of the descriptor is `expected`. Without `expected`, it has the algorithm of the options. A manifest is
    /// stored as [`Target::push`](crate::Target::push) stores it, and becomes a referrer of its subject.
    ///
    /// Whether it succeeds or fails, the write ends: one with a name cannot be resumed afterwards.
    ///
    /// # Errors
    /// [`ErrorKind::DigestMismatch`](crate::ErrorKind::DigestMismatch) if the digest is not `expected`, or
    /// `SizeMismatch`, or `InvalidContent` for a malformed manifest. The content is not published then.
    async fn commit(self: Box<Self>, expected: Option<&Digest>) -> Result<Descriptor>;

    /// Deletes the bytes, also those of a write with a name, which cannot be resumed afterwards. A remote store also
    /// deletes its upload session. The default only drops the ingest.
    async fn abort(self: Box<Self>) {}
}

/// A target that content can be written to before its digest is known. A server stores uploads with it, and a push
/// sends a large file while it is hashed.
///
/// ```
/// use futures::StreamExt;
/// use oras_store::spec::{Descriptor, MediaType};
/// use oras_store::{Ingest, IngestName, IngestOptions, IngestTarget, ReadBack, Result, Written};
///
/// /// Stores an upload, which a later call resumes by its name if this one is interrupted.
/// async fn store_upload(store: &dyn IngestTarget, pieces: Vec<bytes::Bytes>) -> Result<Descriptor> {
///     let options = IngestOptions::new(MediaType::OCTET_STREAM).name(IngestName::New("upload7"));
///     let mut upload: Box<dyn Ingest> = store.begin(options).await?;
///     upload.write(pieces).await?;
///     // A proxy sends the bytes to its clients while it receives more.
///     let Written { size, read_back } = upload.pause();
///     let read_back: Option<ReadBack> = read_back;
///     if let Some(read) = read_back {
///         let mut stream = read(0..size);
///         while let Some(chunk) = stream.next().await {
///             println!("{} bytes", chunk?.len());
///         }
///     }
///     upload.commit(None).await
/// }
/// ```
#[async_trait]
pub trait IngestTarget: Target {
    /// Begins a write, or resumes one.
    ///
    /// # Errors
    /// For [`IngestName::Resume`], [`ErrorKind::NotFound`] if there is no write of this name: it was committed or
    /// aborted, its commit failed, or the store cannot resume writes. [`ErrorKind::AlreadyExists`] while another
    /// [`Ingest`] of this or another process writes the content. A store may reject a name that is not well-formed with
    /// any error.
    async fn begin(&self, options: IngestOptions<'_>) -> Result<Box<dyn Ingest>>;

    /// Stores `content` and computes its SHA-256 digest. Returns its descriptor and the outcome, as
    /// [`Target::push`](crate::Target::push) does.
    ///
    /// # Errors
    /// The errors of reading, and [`ErrorKind::SizeMismatch`] if `content` has another size than its description. The
    /// content is not published then.
    async fn ingest(&self, content: &UnhashedContent) -> Result<(Descriptor, Pushed)> {
        let mut ingest = self.begin(IngestOptions::new(content.media_type.clone())).await?;
        let mut stream = content.open(0).await?;
        let mut size = 0;
        while let Some(chunk) = stream.try_next().await? {
            size += chunk.len() as u64;
            ingest.write(vec![chunk]).await?;
        }
        // Without an expected digest, `commit` cannot detect that the stream ended early.
        if size != content.size {
            let message = format!("content has {size} bytes, not {}", content.size);
            return Err(Error::new(ErrorKind::SizeMismatch, message));
        }
        Ok((ingest.commit(None).await?, Pushed::Copied))
    }
}
