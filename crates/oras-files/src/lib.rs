//! Files and directories as layers of an artifact, and back.
//!
//! [`Collection`] turns paths into nodes: a file is hashed where it is, a directory becomes a gzipped tar whose
//! bytes are stable. [`FileTarget`] turns nodes into paths: everything is staged and verified first, and published
//! together, so a failed pull leaves what was there before untouched.
//!
//! ```
//! use std::sync::Arc;
//!
//! use oras_files::{Collection, FileTarget, PullOptions};
//! use oras_store::{Content, Target};
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
//! target.push(&Content::from_source(collection, layer)).await?;
//! target.commit().await?;
//! assert_eq!(std::fs::read(directory.path().join("out/greetings/hi.txt")).unwrap(), b"hello world\n");
//! # Ok(()) }
//! ```

mod archive;
mod base;
mod cancel;
mod collection;
mod extract;
mod folding;
mod found;
mod interrupted;
mod kept;
mod names;
mod publish;
mod reference;
mod rollback;
mod sending;
mod staging;
mod target;
mod title;
mod unpack;

pub use archive::{Compression, DirectoryOptions};
pub use collection::{Collection, Prepared};
pub use extract::{LimitExceeded, UnpackLimits};
pub use found::Found;
pub use reference::FileReference;
pub use target::{FileTarget, PullOptions};
pub use title::{clean, title_of};
