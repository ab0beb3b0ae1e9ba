//! Files and directories as layers of an artifact, and back.
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

pub use archive::{Compression, DirectoryOptions};
pub use extract::{LimitExceeded, UnpackLimits};
pub use file_reference::FileReference;
pub use pull::{FileTarget, PullOptions};
pub use push::{Collection, Prepared, ScannedPath};
pub use title::{clean, title_of};
