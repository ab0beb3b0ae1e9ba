//! OCI image layouts on disk as a store (image-spec, image-layout.md).
//!
//! Use this crate to keep artifacts on a disk, or to read and write the layouts of other tools, without a network.
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
//! use oras_layout::store::spec::MediaType;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> oras_store::Result<()> {
//! # let directory = tempfile::tempdir().unwrap();
//! let layout = Layout::open_or_create(directory.path().join("layout")).await?;
//! let index = r#"{"schemaVersion":2,"manifests":[]}"#;
//! let index = layout.push_manifest(MediaType::IMAGE_INDEX, index, Some("v1")).await?;
//!
//! let again = Layout::open(layout.path()).await?;
//! assert_eq!(again.tags().await?, ["v1"]);
//! assert_eq!(again.artifact("v1").await?.descriptor().digest, index.digest);
//! # Ok(()) }
//! ```
//!
//! # Resume and cancellation
//! Dropping a future cancels the operation. A blob or tag is visible completely or not at all, and `index.json` is always
//! valid. A write with a name can be resumed, also by another process after a crash:
//!
//! ```
//! use oras_layout::Layout;
//! use oras_layout::store::spec::MediaType;
//! use oras_layout::store::{IngestName, IngestOptions, IngestTarget};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> oras_layout::store::Result<()> {
//! # let directory = tempfile::tempdir().unwrap();
//! let layout = Layout::open_or_create(directory.path().join("layout")).await?;
//! let options = IngestOptions::new(MediaType::LAYER_TAR);
//! let mut write = layout.begin(options.clone().name(IngestName::New("build7"))).await?;
//! write.write(vec!["hello ".into()]).await?;
//! // The program ends here. A later one continues after the last byte.
//! drop(write);
//! let mut write = layout.begin(options.name(IngestName::Resume("build7"))).await?;
//! assert_eq!(write.pause().size, 6);
//! write.write(vec!["world\n".into()]).await?;
//! let layer = write.commit(None).await?;
//! assert_eq!(layout.content(&layer).bytes(100).await?, "hello world\n");
//! # Ok(()) }
//! ```
//!
//! Files of writes that are never resumed are deleted after a day, when the layout is opened for writing.
//!
//! # Garbage and archives
//! ```
//! use std::time::Duration;
//!
//! use oras_layout::store::spec::MediaType;
//! use oras_layout::store::{Content, PushMode, Target};
//! use oras_layout::{Archive, ArchiveWriter, GarbageOptions, Layout, LayoutOptions};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> oras_layout::store::Result<()> {
//! # let directory = tempfile::tempdir().unwrap();
//! // Writes a tar archive, which becomes visible when it is finished, and reads it in place.
//! let index = Content::of(MediaType::IMAGE_INDEX, r#"{"schemaVersion":2,"manifests":[]}"#);
//! let path = directory.path().join("layout.tar");
//! let writer = ArchiveWriter::create(&path).await?;
//! writer.push(&index, PushMode::Tagged("v1")).await?;
//! writer.finish().await?;
//! assert_eq!(Archive::open(&path).await?.tags().await?, ["v1"]);
//!
//! // Deletes blobs that no manifest lists and that were not used for an hour.
//! let options = LayoutOptions::default().record_use(true);
//! let layout = Layout::open_or_create_with(directory.path().join("layout"), options).await?;
//! layout.push_blob(MediaType::OCTET_STREAM, "unused").await?;
//! let collected = layout.collect_garbage(GarbageOptions::after(Duration::from_secs(3600))).await?;
//! assert_eq!(collected.blobs, 0);
//! # Ok(()) }
//! ```
//!
//! # Runtime and memory
//! All methods need a Tokio runtime, whose blocking threads do the file system calls. Timers and I/O of the runtime are
//! not needed. Blobs are streamed in chunks of at most a few hundred KiB. The index and the graph of referrers are in
//! memory while a handle is open; a layout of 120,000 manifests takes about 20 MiB.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod archive;
mod blob;
mod blob_count;
mod blob_upload;
mod check;
mod checked_manifest;
mod created_directories;
mod disk;
mod find_layouts;
mod graph;
mod index;
mod layout;
mod layout_files;
mod layout_options;
mod layout_store;
mod layout_usage;
mod maintenance;
mod not_found;
mod oci_layout_file;
mod open;
mod parallel;
mod pending_manifests;
mod push_blob;
mod repair;
mod size_limits;
mod survey;
mod upload_file;
mod verification;

pub use archive::{Archive, ArchiveStream, ArchiveWriter, ArchivedBlob, NotTar};
pub use blob_count::BlobCount;
pub use check::{CheckOptions, CheckProgress, LayoutCheck, LayoutProblem, ProblemKind, check};
pub use find_layouts::find_layouts;
pub use layout::Layout;
pub use layout_options::LayoutOptions;
pub use layout_usage::{LayoutUsage, TagUsage};
pub use maintenance::garbage_options::{CollectedGarbage, GarbageOptions};
pub use oci_layout_file::LayoutFault;
pub use open::open;
pub use oras_store as store;
pub use repair::{
    LayoutRepair, RepairOptions, RepairOutcome, RepairSource, RepairedBlob, RestoredEntry, UnavailableBlob,
    repair,
};
pub use survey::layout_graph::{GraphEntry, GraphNode, LayoutGraph};
