//! OCI image layouts on disk as a store (image-spec, image-layout.md).
//!
//! A [`Layout`] is a directory with `oci-layout`, `index.json` and `blobs/`, as every OCI tool reads it. Blobs are
//! staged, verified, flushed and renamed; `index.json` is replaced atomically under a lock that all processes share,
//! so writers in parallel lose nothing and a process killed at any point leaves a readable layout.
//!
//! An [`Archive`] is a layout in a tar archive, read in place; [`open`] takes either. An [`ArchiveWriter`] makes such an
//! archive out of content as it arrives.
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

#[cfg(unix)]
mod adopt;
mod archive;
mod blobs;
mod collect;
mod entry;
mod evict;
mod gathered;
mod graph;
mod index;
mod ingest;
mod journal;
mod layout;
mod limits;
mod marker;
mod place;
mod prune;
mod tags;
mod verified;

use std::path::PathBuf;
use std::sync::Arc;

use oras_store::{ReadStore, Result};

pub use archive::{Archive, ArchiveWriter, NotTar};
pub use collect::{Collected, Garbage};
pub use layout::Layout;

/// The layout at `path`, in a directory or in a tar archive, for reading; nothing is made.
///
/// # Errors
/// Those of [`Layout::open`] and [`Archive::open`].
pub async fn open(path: impl Into<PathBuf>) -> Result<Arc<dyn ReadStore>> {
    let path = path.into();
    let asked = path.clone();
    let is_directory = oras_store::fsio::blocking(move || Ok(asked.is_dir())).await?;
    if is_directory {
        Ok(Arc::new(Layout::open(path).await?))
    } else {
        Ok(Arc::new(Archive::open(path).await?))
    }
}
