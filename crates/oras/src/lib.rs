//! The verbs of the `oras` command as library functions.
//!
//! Use this crate to push files to an OCI registry as an artifact, to pull them back, and to copy artifacts between
//! registries, OCI layouts and memory. [`Artifact`] builds an artifact;
//! [`StoredArtifact`](store::StoredArtifact) reads one. It builds on smaller crates: `oras-store` defines the traits of a store,
//! `oras-copy` is the copy engine, and `oras-remote`, `oras-layout` and `oras-memory` are stores.
//!
//! Each verb is one function. It takes
//! - the stores, by value or as `Arc<dyn …>` of the traits in [`store`],
//! - its options, such as [`PushOptions`],
//! - a [`Listener`] for the steps of the verb; [`Quiet`] ignores them.
//!
//! It returns a plain struct, such as [`Pulled`], or a descriptor. The types of [`report`] turn these results into the
//! JSON documents that `oras --format json` prints. This crate prints nothing and reads no environment
//! variables.
//!
//! | verb | what it does |
//! |---|---|
//! | [`push`] | Stores an [`Artifact`] of files and other content. |
//! | [`pull`] | Writes the files of an artifact to a directory, either all of them or none. |
//! | [`open_file`](fn@open_file) | Opens a single file of an artifact for reading. |
//! | [`copy`](fn@copy) | Copies an artifact from one store to another, optionally with its referrers. |
//! | [`mirror`](fn@mirror) | Copies many tags of a repository, optionally with their referrers. |
//! | [`attach`] | Stores an [`Artifact`] that refers to another artifact, its subject. |
//! | [`discover`](fn@discover) | Lists the referrers of an artifact as a tree. |
//! | [`inspect`](fn@inspect) | Describes an artifact: its kind, files, platforms, sizes and referrers. |
//! | [`diff`](fn@diff) | Compares two artifacts: files, annotations, platforms, and the lines of text files. |
//! | [`doctor`](fn@doctor) | Examines the local configuration, and the way to a registry and its features. |
//! | [`resolve`] | Returns the descriptor of the manifest that a tag or digest names. |
//! | [`backup`] | Copies tags of a repository into an OCI layout, which is a directory or a tar archive. |
//! | [`restore`] | Copies tags of an OCI layout into a repository. |
//! | [`list_layout`] | Lists the tags of an OCI layout: kinds, sizes, platforms, referrers. |
//! | [`check_layout`], [`repair_layout`] | Finds damage in an OCI layout, or fetches damaged and missing content again. |
//! | `collect_layout_garbage` (feature `retention`) | Deletes tags and content of an OCI layout that are not needed. |
//! | [`tag`], [`untag`] | Adds tags to a manifest, or removes a tag. |
//! | [`annotate`](fn@annotate) | Edits the annotations of a manifest and stores the result. |
//! | [`push_blob`](fn@push_blob) | Stores a single blob. |
//! | [`push_manifest`], [`fetch_manifest`] | Stores or reads a manifest, byte for byte. |
//! | [`fetch_config`] | Opens the config of an image for reading. |
//! | [`create_index`], [`update_index`] | Creates or edits an image index; [`store_manifest`] stores it. |
//! | [`list_partial_transfers`], [`clean_partial_transfers`] | Lists or deletes partial downloads and uploads. |
//! | `serve` (feature `serve`) | Runs a registry backed by OCI layouts or memory, or a proxy of other registries. |
//! | `registry` (feature `serve`) | Opens such a registry for the server of another program. |
//!
//! # Features
//! | feature | default | what it adds |
//! |---|---|---|
//! | `remote` | yes | [`remote`]: repositories of registries as stores; [`list_partial_transfers`], [`clean_partial_transfers`] and [`doctor`](fn@doctor) |
//! | `files` | yes | [`files`]: files as layers; [`push`], [`push_blob`](fn@push_blob), [`attach`] and [`pull`] |
//! | `bucket` | no | [`Bucket`], a repository in S3, Google Cloud Storage or Azure Blob Storage as a store |
//! | `layout` | yes | [`Layout`], [`Archive`] and [`ArchiveWriter`] as stores; [`backup`] and [`CachedSource`] |
//! | `retention` | no | `collect_layout_garbage`, with rules for the tags that stay; includes `layout` |
//! | `blocking` | no | `remote::blocking`, a repository for programs without async code; includes `remote` |
//! | `rules` | no | `bundle::Rules`: rules files that say what a bundle contains |
//! | `serve` | no | `serve` and the crate `server`; includes `remote` and `layout` |
//! | `page` | no | the web page of that registry; includes `serve` |
//! | `axum` | no | `Registry::router`, which mounts that registry in an axum application; includes `serve` |
//!
//! The other verbs, [`Memory`], the copy engine and the types of the specifications are always there.
//!
//! [`dry_run`](fn@dry_run) wraps a store so that a verb changes nothing. [`CachedSource`] adds a cache to a source.
//!
//! # Examples
//! ```
//! use oras::{Artifact, Memory, PullOptions, Quiet};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! let file = directory.path().join("hi.txt");
//! # std::io::Write::write_all(&mut std::fs::File::create(&file)?, b"hello world\n")?;
//! let store = Memory::new();
//! let greeting = Artifact::new("application/vnd.example.greeting").file(&file)?;
//! let pushed = greeting.push(&store, Some("v1")).await?;
//!
//! let out = directory.path().join("out");
//! let pulled = oras::pull(store, "v1", PullOptions::into(&out), Quiet).await?;
//! assert_eq!(pulled.root.digest, pushed.root.digest);
//! assert_eq!(std::fs::read(out.join("hi.txt"))?, b"hello world\n");
//! # Ok(()) }
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

mod annotate;
#[cfg(feature = "files")]
mod artifact;
mod artifact_kind;
#[cfg(feature = "files")]
mod artifact_layers;
#[cfg(feature = "files")]
mod attach;
#[cfg(feature = "layout")]
mod backup;
#[cfg(feature = "layout")]
pub mod bundle;
#[cfg(feature = "layout")]
mod cached_source;
mod copy;
mod created_annotation;
mod diff;
mod discover;
#[cfg(feature = "remote")]
mod doctor;
mod dry_run;
#[cfg(feature = "files")]
mod earlier_layers;
#[cfg(feature = "files")]
mod file_argument;
mod file_selector;
mod index;
mod inspect;
#[cfg(feature = "retention")]
mod keep_rules;
#[cfg(feature = "retention")]
mod layout_garbage;
#[cfg(feature = "layout")]
mod list_layout;
mod listener;
mod manifest;
mod mirror;
mod open_file;
#[cfg(feature = "files")]
mod pack;
#[cfg(feature = "remote")]
mod partial_transfers;
#[cfg(feature = "files")]
mod pull;
#[cfg(feature = "files")]
mod push;
pub mod report;
#[cfg(feature = "layout")]
mod repository_dirs;
#[cfg(feature = "layout")]
mod repository_name;
mod required_referrers;
mod resolve;
mod restore;
#[cfg(feature = "serve")]
mod serve;
mod tag;
mod tag_transfer;
#[cfg(any(feature = "retention", feature = "rules"))]
mod tag_version;

pub use annotate::{Annotated, Annotations, annotate};
#[cfg(feature = "files")]
pub use artifact::Artifact;
pub use artifact_kind::{ArtifactClass, ArtifactKind};
#[cfg(feature = "files")]
pub use attach::{AttachOptions, Attached, attach};
#[cfg(feature = "layout")]
pub use backup::{BackedUp, BackupOptions, BackupOutput, backup};
#[cfg(feature = "layout")]
pub use cached_source::CachedSource;
pub use copy::{CopyOptions, UnresolvedSource, copy};
pub use diff::{ContentChange, DiffOptions, Differences, TextChange, ValueChange, diff};
pub use discover::{DiscoverOptions, Referrer, discover};
#[cfg(feature = "remote")]
pub use doctor::{Check, CheckStatus, Diagnosis, DoctorOptions, doctor};
pub use dry_run::dry_run;
#[cfg(feature = "files")]
pub use file_argument::FileArgument;
pub use file_selector::Selector;
pub use index::{IndexOptions, IndexUpdate, create_index, update_index};
pub use inspect::{InspectOptions, InspectedManifest, InspectedReferrer, Inspection, inspect};
#[cfg(feature = "retention")]
pub use keep_rules::KeepRules;
#[cfg(feature = "retention")]
pub use layout_garbage::{LayoutGarbage, LayoutGarbageOptions, RemovedTag, collect_layout_garbage};
#[cfg(feature = "layout")]
pub use list_layout::{LayoutListing, ListedEntry, ListedNode, list_layout};
pub use listener::{Listener, Quiet, Step};
pub use manifest::{Names, fetch_config, push_manifest, store_manifest};
pub use mirror::{MirrorOptions, MirroredTag, mirror};
pub use open_file::open_file;
#[cfg(feature = "files")]
pub use pack::ImageSpec;
#[cfg(feature = "remote")]
pub use partial_transfers::{PartialDownload, PartialOptions, PartialTransfers, PartialUpload};
#[cfg(feature = "remote")]
pub use partial_transfers::{clean_partial_transfers, list_partial_transfers};
#[cfg(feature = "files")]
pub use pull::{ConfigFile, PullOptions, Pulled, PulledFile, pull};
#[cfg(feature = "files")]
pub use push::{PushOptions, PushedArtifact, push, push_blob};
pub use required_referrers::MissingReferrer;
pub use resolve::{fetch_manifest, resolve, resolve_verified};
pub use restore::{RestoreOptions, restore};
#[cfg(feature = "serve")]
pub use serve::{GarbageCollection, ProxyOptions, ServeFrom, ServeOptions, registry, serve};
pub use tag::{tag, untag};
pub use tag_transfer::{NoTags, TaggedArtifact};

#[cfg(feature = "bucket")]
pub use oras_bucket as bucket;
#[cfg(feature = "bucket")]
pub use oras_bucket::{Bucket, BucketOptions, CloudOptions};
pub use oras_copy as engine;
pub use oras_copy::{Concurrency, Event, PlatformsError, join_platforms};
#[cfg(feature = "files")]
pub use oras_files as files;
#[cfg(any(feature = "files", feature = "layout", feature = "remote"))]
pub use oras_fs as fs;
#[cfg(feature = "layout")]
pub use oras_layout::{
    Archive, ArchiveStream, ArchiveWriter, ArchivedBlob, BlobCount, CheckOptions, CheckProgress,
    CollectedGarbage, GraphEntry, GraphNode, Layout, LayoutCheck, LayoutFault, LayoutGraph, LayoutOptions,
    LayoutProblem, LayoutRepair, LayoutUsage, NotTar, ProblemKind, RepairOptions, RepairOutcome,
    RepairSource, RepairedBlob, RestoredEntry, TagUsage, UnavailableBlob, check as check_layout,
    find_layouts, open as open_layout, repair as repair_layout,
};
pub use oras_memory::Memory;
#[cfg(feature = "remote")]
pub use oras_remote as remote;
#[cfg(feature = "serve")]
pub use oras_serve as server;
pub use oras_spec as spec;
pub use oras_store as store;
