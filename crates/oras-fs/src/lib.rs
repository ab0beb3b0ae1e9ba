//! File-system building blocks of the ORAS stores: staged writes, partial files, bounded reads, locks and blocking
//! calls.
//!
//! The crates `oras-layout`, `oras-files`, `oras-remote`, `oras-serve` and `oras` read and write their files with these
//! functions. This crate uses [`Content`](oras_store::Content) and digests, but not the format of any store.
//!
//! # Writing
//! [`stage`] writes content into a [`StagedFile`] and verifies size and digest. [`StagedFile::publish`] renames that
//! file into place, so a reader sees the whole file or no file.
//!
//! ```
//! use oras_fs::{Durability, stage};
//! use oras_spec::MediaType;
//! use oras_store::Content;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let directory = tempfile::tempdir()?;
//! let path = directory.path().join("hello.txt");
//! let content = Content::of(MediaType::LAYER_TAR, "hello world\n");
//!
//! let staged = stage(&content, directory.path(), Durability::Synced).await?;
//! assert!(!path.exists());
//! staged.publish(&path)?;
//! assert_eq!(std::fs::read(&path)?, b"hello world\n");
//! # Ok(()) }
//! ```
//!
//! A [`PartialFile`] keeps the first bytes of large content when a transfer fails, and [`PartialFile::resume`]
//! fetches only the missing bytes. [`replace`] writes a small file, such as an index. [`output_file`] writes to a
//! path that a user named, which may be a device.
//!
//! # Reading
//! [`read`] streams a range of a file. [`read_through`] passes a file to a hash while another thread reads ahead.
//! [`read_limited`] and [`open_regular`] read files that another program may have replaced by a pipe or a device.
//!
//! # Blocking calls
//! [`blocking`] runs one long call on a thread that may block. [`BlockingQueue`] runs many short ones. `tokio::fs`
//! transfers 4 KiB to 64 KiB a call and reaches a tenth of the speed of the disk. Here one blocking thread reads, or
//! hashes and writes, so that the hash overlaps with the network.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod blocking;
mod blocking_queue;
mod buffer_pool;
mod chunk_size;
mod directories;
mod durability;
mod file_lock;
mod file_stamp;
mod io_error;
mod list_partial_files;
mod mutex;
pub mod output_file;
mod partial_dir;
mod partial_file;
mod private_dir;
mod read;
mod read_ahead;
mod read_through;
mod regular_file;
mod rename_new;
mod replace;
mod resumed_write;
mod stage;
mod staged_file;
mod warnings;
mod write_verified;

pub use blocking::blocking;
pub use blocking_queue::BlockingQueue;
pub use chunk_size::CHUNK;
pub use directories::{create_directories, create_durable_directories, parent_directory};
pub use durability::{Durability, sync_directory};
pub use file_lock::{lock, try_lock};
pub use file_stamp::FileStamp;
pub use io_error::{failed_to, if_exists, is_refused};
pub use list_partial_files::{IdlePartialFile, find_idle_partial_files};
pub use mutex::Mutex;
pub use partial_dir::sweep_partial_files;
pub use partial_file::{CompletedFile, PartialFile};
pub use read::{fill, read, read_at, read_to_end, read_whole};
pub use read_through::read_through;
pub use regular_file::{open_regular, open_regular_or_link, read_limited, read_regular_at};
pub use replace::replace;
pub use resumed_write::ResumedWrite;
pub use stage::stage;
pub use staged_file::{ParkedFile, StagedFile};
pub use warnings::{WARNINGS, warn_of_lost_modes};
pub use write_verified::write_verified;
