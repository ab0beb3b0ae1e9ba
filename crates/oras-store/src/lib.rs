//! The contract between ORAS stores.
//!
//! A [`Source`] resolves references and reads content. A [`Target`] stores [`Content`] and tags it. The other traits
//! are optional: [`Predecessors`], [`TagList`], [`Delete`], [`IngestTarget`]. A function that needs one requires it
//! in its bound.
//!
//! Two traits are enough because of [`Content`]. It belongs to one descriptor, can be opened again and from any
//! offset, and verifies what it reads. Its [`Origin`] says where the bytes are, so that a target can mount or link
//! them instead of a transfer. No store depends on another.
//!
//! No reader sees a half-written file: the stores write files through `oras-fs`, which publishes a file when it is
//! complete.
//!
//! ```
//! use oras_spec::{Descriptor, MediaType};
//! use oras_store::{Content, ErrorKind};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> oras_store::Result<()> {
//! // Bytes that do not match their descriptor are rejected.
//! let described = Descriptor::of(MediaType::LAYER_TAR, b"hello world\n");
//! let content = Content::from_bytes(described.clone(), "hello world\n")?;
//! assert_eq!(content.bytes(1024).await?, "hello world\n");
//! assert_eq!(Content::from_bytes(described, "hello w0rld\n").unwrap_err().kind(), ErrorKind::DigestMismatch);
//! # Ok(()) }
//! ```
//!
//! `oras-memory` is the simplest store, for examples and tests. `oras-testkit` has the test suite that every store
//! passes.

mod content;
mod error;
mod ingest;
mod origin;
mod progress;
mod pushed;
mod store;
mod unhashed_content;
mod verify;

pub use content::Content;
pub use error::{BoxError, Error, ErrorKind, Result, Side};
pub use ingest::{Ingest, IngestTarget, ReadBack};
pub use origin::Origin;
pub use progress::Progress;
pub use pushed::Pushed;
pub use store::{Delete, GraphSource, Predecessors, ReadStore, Sink, Source, Store, TagList, Target};
pub use unhashed_content::{Opener, UnhashedContent};
pub use verify::Verifier;

/// A stream of bytes. The first error ends it.
pub type ByteStream = futures::stream::BoxStream<'static, Result<bytes::Bytes>>;

/// Checks, before a document is written, that its size is within the limit of its readers.
///
/// # Errors
/// [`ErrorKind::TooLarge`] if `size` exceeds `limit`. `what` names the document in the message.
pub fn check_written_size(what: &str, size: usize, limit: u64) -> Result<()> {
    if size as u64 <= limit {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::TooLarge,
        format!("{what} would have {size} bytes, and at most {limit} are read"),
    ))
}

/// The default limit for the size of a manifest: 4 MiB, which the distribution-spec requires every registry to accept
/// ("Pushing Manifests").
pub const MAX_MANIFEST_SIZE: u64 = 4 * 1024 * 1024;
