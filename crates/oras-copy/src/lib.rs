//! The copy engine: copies any graph of descriptors from any source to any target.
//!
//! Use this crate to mirror artifacts between stores, also between stores of your own.
//!
//! [`copy_graph`] stores children before their parents and the tag last. It transfers each digest once. At the first
//! error it stops and sets no tag. It uses only the traits of `oras-store`: the target decides from the origin of the
//! content whether it streams, mounts or links the bytes.
//!
//! [`referrers`] finds the referrers of a graph, so that they can be copied too. [`select_platform`] selects one image
//! of an index, [`select_platforms`] several.
//!
//! ```
//! use std::sync::Arc;
//!
//! use oras_copy::{CopyOptions, TagPolicy, copy_graph};
//! use oras_memory::Memory;
//! use oras_spec::{Descriptor, ImageManifest, MediaType};
//! use oras_store::{Content, PushMode, Source, Target};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> oras_store::Result<()> {
//! let (here, there) = (Arc::new(Memory::new()), Arc::new(Memory::new()));
//! let layer = Content::of(MediaType::LAYER_TAR, "hello world\n");
//! let empty = Content::from_bytes(Descriptor::empty_json(), "{}")?;
//! let manifest = ImageManifest::new(Descriptor::empty_json(), vec![layer.descriptor().clone()]);
//! let manifest = Content::of(MediaType::IMAGE_MANIFEST, manifest.to_bytes());
//! for content in [&layer, &empty] {
//!     here.push(content, PushMode::Untagged).await?;
//! }
//! here.push(&manifest, PushMode::Tagged("v1")).await?;
//!
//! let root = Content::from_source(here.clone(), here.resolve("v1").await?);
//! let options = CopyOptions::default().tag(TagPolicy::WithRoot("v1".into()));
//! let report = copy_graph(here, there.clone(), vec![root], options).await?;
//! assert_eq!(report.nodes.len(), 3);
//! assert!(there.exists(layer.descriptor()).await?);
//! assert_eq!(there.resolve("v1").await?.digest, manifest.descriptor().digest);
//! # Ok(()) }
//! ```
//!
//! # Resume and cancellation
//! Dropping the future of [`copy_graph`] cancels all transfers. Complete blobs and manifests stay at the target, and no
//! tag is written. A second copy skips them, so it transfers only the rest:
//!
//! ```
//! use oras_copy::{CopyOptions, copy_graph};
//! use oras_memory::Memory;
//! use oras_memory::store::Pushed;
//! use oras_memory::store::spec::{Descriptor, ImageManifest, MediaType};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> oras_memory::store::Result<()> {
//! let (from, to) = (Memory::new(), Memory::new());
//! let layer = from.push_blob(MediaType::LAYER_TAR, "hello world\n").await?;
//! from.push_blob(MediaType::EMPTY_JSON, "{}").await?;
//! let manifest = ImageManifest::new(Descriptor::empty_json(), vec![layer.clone()]).to_bytes();
//! let root = from.push_manifest(MediaType::IMAGE_MANIFEST, manifest, Some("v1")).await?;
//!
//! // An earlier copy was cancelled after the layer.
//! to.push_blob(MediaType::LAYER_TAR, "hello world\n").await?;
//! let report = copy_graph(from.clone(), to, vec![from.content(&root)], CopyOptions::default()).await?;
//! let skipped = report.nodes.iter().filter(|copied| copied.outcome == Pushed::Existed);
//! assert_eq!(skipped.map(|copied| &copied.descriptor.digest).collect::<Vec<_>>(), [&layer.digest]);
//! # Ok(()) }
//! ```
//!
//! A single large blob resumes too if the stores support it: a download from a registry to a disk continues at its last
//! byte, and an upload to a registry continues its session.
//!
//! # Runtime and memory
//! The engine needs no runtime of its own: it polls all steps in the task of the caller and spawns nothing. The stores
//! may need one; those of files and of registries need Tokio. Content is streamed. The memory grows with the number of
//! nodes, of which each takes a few hundred bytes, and with the manifests whose children are not stored yet.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod concurrency;
mod copy_graph;
mod copy_options;
mod copy_report;
mod event;
mod graph;
mod referrers;
mod select_platforms;
mod selection;
mod source_side;
mod step_limits;

pub use oras_store as store;

pub use concurrency::Concurrency;
pub use copy_graph::copy_graph;
pub use copy_options::{CopyOptions, TagPolicy};
pub use copy_report::{CopiedNode, CopyReport};
pub use event::{Event, Observer, Silent};
pub use oras_store::select_platform;
pub use referrers::referrers;
pub use select_platforms::{PlatformsError, Selected, join_platforms, select_platforms};
pub use selection::{SelectedChildren, Selection, all_children, without_subject};
