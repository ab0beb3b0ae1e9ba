//! OCI Registry As Storage: the verbs of the `oras` command as functions, and the crates they stand on.
//!
//! Every verb takes stores as traits, options as a plain struct, tells a [`Listener`] what happens, and returns a
//! value that serialises to what `oras --format json` prints. Nothing here prints or reads the environment.
//!
//! | verb | does |
//! |---|---|
//! | [`push`] | packs files into an artifact and stores it |
//! | [`pull`] | writes the files of an artifact to a directory, all or none |
//! | [`copy`](fn@copy) | copies an artifact, with its referrers if asked |
//! | [`attach`] | packs files into an artifact that refers to another |
//! | [`discover`](fn@discover) | finds what refers to an artifact, and what refers to that |
//! | [`resolve`] | names the digest of a reference |
//! | [`backup`] | copies tags of a repository into an OCI layout: a directory or a tar archive |
//! | [`restore`] | copies them back |
//! | [`tag`], [`untag`] | gives a manifest more names, or takes one away |
//! | [`annotate`](fn@annotate) | stores a manifest with other annotations |
//! | [`push_blob`] | stores one blob |
//! | [`push_manifest`], [`fetch_manifest`], [`fetch_config`] | moves a manifest as it is |
//! | [`list_partials`], [`clean_partials`] | finds or removes what unfinished transfers have left |
//! | [`create_index`], [`update_index`], [`store_manifest`] | makes and changes image indexes |
//! | `serve`, with the feature of that name | is a registry over OCI layouts or memory, or a cache of others |
//!
//! ```
//! use std::sync::Arc;
//!
//! use oras::{Memory, PullOptions, PushOptions, Quiet};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! let file = directory.path().join("hi.txt");
//! # std::io::Write::write_all(&mut std::fs::File::create(&file)?, b"hello world\n")?;
//! let store = Arc::new(Memory::new());
//! let quiet = Arc::new(Quiet);
//!
//! let mut options = PushOptions::artifact("application/vnd.example.greeting");
//! options.files.push(oras::FileArgument::new("hi.txt", &file));
//! let pushed = oras::push(store.clone(), Some("v1"), options, quiet.clone()).await?;
//!
//! let out = directory.path().join("out");
//! let pulled = oras::pull(store, "v1", PullOptions::into(&out), quiet).await?;
//! assert_eq!(pulled.root.digest, pushed.root.digest);
//! assert_eq!(std::fs::read(out.join("hi.txt"))?, b"hello world\n");
//! # Ok(()) }
//! ```

mod annotate;
mod attach;
mod backup;
mod blob;
mod cached;
mod collect;
mod copy;
mod created;
mod discover;
mod dry_run;
mod earlier_layers;
mod index;
mod listener;
mod manifest;
mod pack;
mod partial;
mod pull;
mod push;
pub mod report;
mod resolve;
mod restore;
mod select;
#[cfg(feature = "serve")]
mod serve;
mod tag;
mod tagged;

pub use annotate::{Annotated, Annotations, annotate};
pub use attach::{AttachOptions, Attached, attach};
pub use backup::{BackedUp, BackupOptions, BackupOutput, backup};
pub use blob::push_blob;
pub use cached::Cached;
pub use collect::FileArgument;
pub use copy::{CopyOptions, UnresolvedSource, copy};
pub use discover::{DiscoverOptions, Referrer, discover};
pub use dry_run::dry_run;
pub use index::{IndexOptions, IndexUpdate, create_index, update_index};
pub use listener::{Listener, Quiet, Step};
pub use manifest::{Names, fetch_config, push_manifest, store_manifest};
pub use pack::{ConfigArgument, ImageSpec, Pack, Packed};
pub use partial::{PartialDownload, PartialOptions, PartialUpload, Partials, clean_partials, list_partials};
pub use pull::{ConfigFile, PullOptions, Pulled, pull};
pub use push::{PushOptions, PushedArtifact, push};
pub use resolve::{fetch_manifest, resolve, resolve_verified};
pub use restore::{RestoreOptions, restore};
pub use select::{Selector, open_file};
#[cfg(feature = "serve")]
pub use serve::{GarbageCollection, ProxyOptions, ServeFrom, ServeOptions, serve};
pub use tag::{tag, untag};
pub use tagged::{NoTags, TaggedArtifact};

pub use oras_copy::{Event, Observer, PlatformsError, join};
pub use oras_files as files;
pub use oras_fs as fs;
pub use oras_layout::{Archive, ArchiveWriter, Layout, LayoutOptions, NotTar, open as open_layout};
pub use oras_memory::Memory;
pub use oras_remote as remote;
#[cfg(feature = "serve")]
pub use oras_serve as server;
pub use oras_spec as spec;
pub use oras_store as store;
