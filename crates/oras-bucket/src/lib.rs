//! A repository of OCI content in a bucket of an object store: S3 and compatible stores, Google Cloud Storage, Azure
//! Blob Storage, or any other [`ObjectStore`](object_store::ObjectStore).
//!
//! A [`Bucket`] is one repository below a prefix, in the shape of an OCI image layout. Programs on any number of
//! machines may read and write it at the same time, without a server, a database or a lock: all that changes is one small
//! object, which is written with conditional puts.
//!
//! | key | object |
//! |---|---|
//! | `oci-layout` | the marker of a layout |
//! | `blobs/<algorithm>/<hex>` | the bytes of a blob or manifest, which never change |
//! | `_tags/<tag>` | the descriptor of the manifest that a tag names |
//! | `_manifests/<algorithm>/<hex>` | the descriptor of a manifest with its media type; the manifest exists if this exists |
//! | `_referrers/<algorithm>/<hex>/<algorithm>-<hex>` | the descriptor of a referrer, below its subject |
//! | `_uploads/<name>` | content whose digest is not known yet |
//! | `index.json` | a derived list for other tools, see [`Bucket::write_index`] |
//!
//! Names with an underscore are no components of the name of a repository, so that repositories can be nested. Tags
//! follow the grammar of the distribution-spec.
//!
//! A manifest is written in this order: its bytes, its entry below its subject, its record, its tag. A push that is
//! interrupted leaves a manifest that does not exist, and the next push completes it. An interrupted upload of a large
//! blob leaves parts that no key shows. S3 and Google Cloud Storage keep and charge them until they are aborted: add a
//! lifecycle rule to the bucket that aborts incomplete multipart uploads after some days.
//!
//! ```
//! use std::sync::Arc;
//!
//! use oras_bucket::Bucket;
//! use oras_bucket::object_store::memory::InMemory;
//! use oras_bucket::store::spec::MediaType;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> oras_bucket::store::Result<()> {
//! let bucket = Bucket::new(Arc::new(InMemory::new()), "mirror/app");
//! bucket.probe().await?;
//! let layer = bucket.push_blob(MediaType::LAYER_TAR, "hello").await?;
//! assert_eq!(bucket.content(&layer).bytes(100).await?, "hello");
//! # Ok(()) }
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

mod bucket;
mod bucket_store;
mod bucket_upload;
#[cfg(feature = "cloud")]
mod cloud;
mod errors;
#[cfg(feature = "cloud")]
mod http_client;
mod index_update;
mod index_view;
mod keys;
mod manifests;
mod probe;
mod push_blob;
mod tags;

pub use bucket::{Bucket, BucketOptions};
#[cfg(feature = "cloud")]
pub use cloud::CloudOptions;
pub use object_store;
pub use oras_store as store;
pub use probe::BucketAbilities;
