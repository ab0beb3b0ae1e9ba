//! The copy engine: any graph of descriptors, from any source to any target.
//!
//! [`GraphCopy::run`] stores children before parents and the tag last, moves each digest once, holds at most
//! `concurrency` nodes in flight, and stops at the first error with nothing tagged. It knows only the traits of
//! `oras-store`: whether bytes are streamed, mounted or linked is between a target and the content's origin.
//!
//! [`referrers`] finds what refers to a graph, so that it can be copied along; [`select_platform`] picks an image
//! out of an index, [`select_platforms`] several.
//!
//! ```
//! use std::sync::Arc;
//!
//! use oras_copy::GraphCopy;
//! use oras_memory::Memory;
//! use oras_spec::{Descriptor, ImageManifest, MediaType};
//! use oras_store::{Content, Source, Target};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> oras_store::Result<()> {
//! let (here, there) = (Arc::new(Memory::new()), Arc::new(Memory::new()));
//! let layer = Content::of(MediaType::LAYER_TAR, "hello world\n");
//! let empty = Content::from_bytes(Descriptor::empty_json(), "{}")?;
//! let manifest = ImageManifest::new(Descriptor::empty_json(), vec![layer.descriptor().clone()]);
//! let manifest = Content::of(MediaType::IMAGE_MANIFEST, manifest.to_bytes());
//! for content in [&layer, &empty] {
//!     here.push(content).await?;
//! }
//! here.tag(&manifest, "v1").await?;
//!
//! let root = Content::from_source(here.clone(), here.resolve("v1").await?);
//! GraphCopy::new(here, there.clone()).run(vec![root], Some("v1")).await?;
//! assert!(there.exists(layer.descriptor()).await?);
//! assert_eq!(there.resolve("v1").await?.digest, manifest.descriptor().digest);
//! # Ok(()) }
//! ```

mod engine;
mod event;
mod graph;
mod limits;
mod platform;
mod platforms;
mod referrers;
mod sided;

pub use engine::{Children, GraphCopy, all_children, without_subject};
pub use event::{Event, Observer, Silent};
pub use platform::select_platform;
pub use platforms::{PlatformsError, Selected, join, select_platforms};
pub use referrers::referrers;
