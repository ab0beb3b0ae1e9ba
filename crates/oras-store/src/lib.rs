//! The contract between ORAS stores.
//!
//! A [`Source`] resolves references and fetches bytes; a [`Target`] takes [`Content`] and names it. Everything
//! else is optional and asked for where it is needed: [`Predecessors`], [`TagList`], [`Delete`], [`IngestTarget`].
//!
//! **Content is what makes two traits enough.** A [`Content`] is bound to one descriptor, can be opened again,
//! from an offset if need be, and opens through the verifying reader; it also says where the bytes live
//! ([`Origin`]), so that a target may mount or link instead of streaming. No store looks into another.
//!
//! Nothing half-written is ever visible under its final name: [`fsio`] stages every file a store writes.
//!
//! ```
//! use oras_spec::{Descriptor, MediaType};
//! use oras_store::{Content, Kind};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> oras_store::Result<()> {
//! // Bytes that don't match their descriptor never become content.
//! let described = Descriptor::of(MediaType::LAYER_TAR, b"hello world\n");
//! let content = Content::from_bytes(described.clone(), "hello world\n")?;
//! assert_eq!(content.bytes(1024).await?, "hello world\n");
//! assert_eq!(Content::from_bytes(described, "hello w0rld\n").unwrap_err().kind(), Kind::DigestMismatch);
//! # Ok(()) }
//! ```
//!
//! A store on which this can be tried is `oras-memory`; the suite every store passes is in `oras-testkit`.

mod content;
mod error;
pub mod fsio;
mod ingest;
mod origin;
pub mod outlet;
mod stamp;
mod store;
mod undigested;
mod verify;

pub use content::{Content, Progress};
pub use error::{BoxError, Error, Kind, Result, Side};
pub use ingest::{Ingest, IngestTarget, ReadBack};
pub use origin::Origin;
pub use stamp::FileStamp;
pub use store::{Delete, GraphSource, Predecessors, Pushed, ReadStore, Sink, Source, Store, TagList, Target};
pub use undigested::{Opener, Undigested};
pub use verify::Verifier;

/// Bytes as they arrive; the first error ends the stream.
pub type ByteStream = futures::stream::BoxStream<'static, Result<bytes::Bytes>>;

/// The largest manifest that is read unless a caller says otherwise: 4 MiB, which the distribution-spec asks
/// every registry to take ("Pushing Manifests").
pub const MAX_MANIFEST_SIZE: u64 = 4 * 1024 * 1024;
