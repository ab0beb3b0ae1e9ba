//! Files and directories as layers of an artifact, and back.
//!
//! Use this crate to push files of a disk to any store, or to pull an artifact into a directory safely.
//!
//! [`Collection`] turns paths into nodes: it hashes a file in place and packs a directory into a gzipped tar with
//! reproducible bytes. [`FileTarget`] turns nodes into paths: it stages and verifies everything first and publishes it
//! in one step, so a failed pull leaves existing files untouched.
//!
//! ```
//! use std::sync::Arc;
//!
//! use oras_files::{Collection, FileTarget, PullOptions};
//! use oras_store::{Content, PushMode, Target};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> oras_store::Result<()> {
//! # let directory = tempfile::tempdir().unwrap();
//! let file = directory.path().join("hi.txt");
//! # std::io::Write::write_all(&mut std::fs::File::create(&file).unwrap(), b"hello world\n").unwrap();
//! let collection = Arc::new(Collection::new());
//! let layer = collection.add("greetings/hi.txt", &file, None).await?;
//!
//! let target = FileTarget::new(directory.path().join("out"), PullOptions::default());
//! target.push(&Content::from_source(collection, layer), PushMode::Untagged).await?;
//! target.commit().await?;
//! assert_eq!(std::fs::read(directory.path().join("out/greetings/hi.txt")).unwrap(), b"hello world\n");
//! # Ok(()) }
//! ```
//!
//! # Resume and cancellation
//! Dropping a future cancels the work on other threads and deletes temporary files. Dropping a [`FileTarget`] before
//! [`FileTarget::commit`] leaves the directory as it was:
//!
//! ```
//! use oras_files::store::spec::{MediaType, annotation};
//! use oras_files::store::{Content, PushMode, Target};
//! use oras_files::{FileTarget, PullOptions};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> oras_files::store::Result<()> {
//! # let directory = tempfile::tempdir().unwrap();
//! let out = directory.path().join("out");
//! let layer = Content::of(MediaType::LAYER_TAR, "hello world\n");
//! let mut titled = layer.descriptor().clone();
//! titled.annotations.insert(annotation::TITLE.into(), "hi.txt".into());
//! let target = FileTarget::new(out.clone(), PullOptions::default());
//! target.push(&layer.described_as(titled), PushMode::Untagged).await?;
//! // A pull that is cancelled never reaches `commit`.
//! drop(target);
//! assert!(!out.join("hi.txt").exists());
//! # Ok(()) }
//! ```
//!
//! On Unix, a large file that was received in part is kept in a hidden partial file beside its destination, also after a
//! kill. The next pull of the same content verifies these bytes and fetches only the rest.
//!
//! # Runtime and memory
//! All methods need a Tokio runtime, whose blocking threads read, pack and unpack. Timers and I/O of the runtime are not
//! needed. Files are streamed. Small files of a collection, up to 8 MiB in total, are kept in memory, and packing a
//! directory takes about 20 MiB.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod archive;
mod cancel;
mod case_folding;
mod extract;
mod file_reference;
mod file_system_names;
mod pull;
mod push;
mod title;
mod windows_names;

pub use oras_store as store;

pub use archive::{Compression, DirectoryOptions};
pub use extract::{LimitExceeded, UnpackLimits};
pub use file_reference::FileReference;
pub use pull::{FileTarget, PullOptions};
pub use push::{Collection, Prepared, ScannedPath};
pub use title::{clean, title_of};
