//! The copy engine: copies any graph of descriptors from any source to any target.
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
//! let options = CopyOptions { tag: TagPolicy::WithRoot("v1".into()), ..CopyOptions::default() };
//! let report = copy_graph(here, there.clone(), vec![root], options).await?;
//! assert_eq!(report.nodes.len(), 3);
//! assert!(there.exists(layer.descriptor()).await?);
//! assert_eq!(there.resolve("v1").await?.digest, manifest.descriptor().digest);
//! # Ok(()) }
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

mod copy_graph;
mod copy_options;
mod copy_report;
mod event;
mod graph;
mod referrers;
mod select_platform;
mod select_platforms;
mod selection;
mod source_side;
mod step_limits;

pub use copy_graph::copy_graph;
pub use copy_options::{CopyOptions, TagPolicy};
pub use copy_report::{CopiedNode, CopyReport};
pub use event::{Event, Observer, Silent};
pub use referrers::referrers;
pub use select_platform::select_platform;
pub use select_platforms::{PlatformsError, Selected, join_platforms, select_platforms};
pub use selection::{SelectedChildren, Selection, all_children, without_subject};
