//! The contract between ORAS stores.
//!
//! Use this crate to write a store of your own, or a function that works with every store: a registry, an OCI layout or
//! memory.
//!
//! A [`Source`] resolves references and reads content. A [`Target`] stores [`Content`] and tags it. The other traits
//! are optional: a [`ReadStore`] also lists tags and finds referrers, an [`IngestTarget`] also takes content whose
//! digest is not known yet, and a [`Store`] is both and deletes. A function requires in its bound what it needs.
//!
//! Two traits are enough because of [`Content`]. It belongs to one descriptor, can be opened again and from any
//! offset, and verifies the bytes. Its [`Origin`] states where the bytes are, so that a target can mount or link them
//! instead of transferring them. No store depends on another.
//!
//! A [`StoredArtifact`] reads an artifact from any store: its manifest, config, layers and referrers.
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
//! `oras-memory` is the simplest store, for examples and tests. `oras-store-suite` has the tests that every store
//! passes; the docs of the traits state each rule that they check.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod content;
mod content_origin;
mod error;
mod ingest;
mod inherent_methods;
mod progress;
mod push_outcome;
mod select_platform;
mod setters;
mod shared_store;
mod size_limits;
mod source;
mod store;
mod stored_artifact;
mod target;
mod unhashed_content;
mod verify;

pub use content::Content;
pub use content_origin::Origin;
pub use error::{BoxError, Error, ErrorKind, Result, Side};
pub use ingest::{Ingest, IngestName, IngestOptions, IngestTarget, ReadBack, Written};
pub use progress::{Progress, ProgressUpdate};
pub use push_outcome::Pushed;
pub use select_platform::{PlatformNotFound, select_platform};
pub use size_limits::{MAX_MANIFEST_SIZE, check_written_size};
pub use source::Source;
pub use store::{DeleteTarget, ReadStore, Store};
pub use stored_artifact::StoredArtifact;
pub use target::{PushMode, Target};
pub use unhashed_content::{Opener, UnhashedContent};
pub use verify::Verifier;

pub use bytes;
pub use futures;
pub use oras_spec as spec;

/// A stream of bytes, as [`Content::reader`] and [`Source::fetch`] return it. The first error ends it.
///
/// ```
/// use futures::TryStreamExt;
/// use oras_store::{ByteStream, Result};
///
/// /// Counts the bytes of a stream.
/// async fn count(mut stream: ByteStream) -> Result<usize> {
///     let mut count = 0;
///     while let Some(chunk) = stream.try_next().await? {
///         count += chunk.len();
///     }
///     Ok(count)
/// }
/// ```
pub type ByteStream = futures::stream::BoxStream<'static, Result<bytes::Bytes>>;
