//! OCI image layouts on disk as a store (image-spec, image-layout.md).
//!
//! A [`Layout`] is a directory with `oci-layout`, `index.json` and `blobs/`, as every OCI tool reads it. Blobs are
//! staged, verified, flushed and renamed; `index.json` is replaced atomically under a lock that all processes share,
//! so writers in parallel lose nothing and a process killed at any point leaves a readable layout.
//!
//! ```
//! use oras_layout::Layout;
//! use oras_spec::MediaType;
//! use oras_store::{Content, Source, Target};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> oras_store::Result<()> {
//! # let directory = tempfile::tempdir().unwrap();
//! let layout = Layout::open_or_create(directory.path().join("layout")).await?;
//! let manifest = Content::of(MediaType::IMAGE_INDEX, r#"{"schemaVersion":2,"manifests":[]}"#);
//! layout.tag(&manifest, "v1").await?;
//!
//! let again = Layout::open(layout.path()).await?;
//! assert_eq!(again.resolve("v1").await?.digest, manifest.descriptor().digest);
//! # Ok(()) }
//! ```

mod blobs;
mod graph;
mod index;
mod ingest;
mod journal;
mod layout;

pub use layout::Layout;
