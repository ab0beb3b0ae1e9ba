//! OCI image layouts on disk as a store (image-spec, image-layout.md).
//!
//! A [`Layout`] is a directory with `oci-layout`, `index.json` and `blobs/`, which every OCI tool can read. Blobs are
//! staged, verified, flushed and renamed. `index.json` is replaced atomically under a lock that all processes share, so
//! parallel writers lose no changes, and a process that is killed at any point leaves a readable layout.
//!
//! An [`Archive`] is a layout in a tar archive, which is read in place; [`open`] opens either. An [`ArchiveWriter`]
//! writes such an archive while its content arrives.
//!
//! ```
//! use oras_layout::Layout;
//! use oras_spec::MediaType;
//! use oras_store::{Content, PushMode, Source, Target};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> oras_store::Result<()> {
//! # let directory = tempfile::tempdir().unwrap();
//! let layout = Layout::open_or_create(directory.path().join("layout")).await?;
//! let manifest = Content::of(MediaType::IMAGE_INDEX, r#"{"schemaVersion":2,"manifests":[]}"#);
//! layout.push(&manifest, PushMode::Tagged("v1")).await?;
//!
//! let again = Layout::open(layout.path()).await?;
//! assert_eq!(again.resolve("v1").await?.digest, manifest.descriptor().digest);
//! # Ok(()) }
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

mod archive;
mod blob;
mod blob_upload;
mod checked_manifest;
mod created_directories;
mod disk;
mod graph;
mod index;
mod layout;
mod layout_files;
mod layout_options;
mod maintenance;
mod not_found;
mod oci_layout_file;
mod open;
mod parallel;
mod pending_manifests;
mod push_blob;
mod size_limits;
mod store;
mod upload_file;
mod verification;

pub use archive::{Archive, ArchiveWriter, NotTar};
pub use layout::Layout;
pub use layout_options::LayoutOptions;
pub use maintenance::garbage_collection::{CollectedGarbage, GarbageOptions};
pub use open::open;
