//! Tests that check an implementation of the `oras-store` traits.
//!
//! Use this crate as a dev-dependency of a store of your own. [`run`] checks a [`Store`]: blobs, manifests, tags,
//! referrers, deletes, and that failed or cancelled writes leave nothing visible. [`run_ingest`] checks writes whose
//! digest is known only at the end. Both panic at the first violation, and the panic names the line of the check.
//! The rules that they check are written in the documentation of the traits.
//!
//! ```
//! use std::sync::Arc;
//!
//! use oras_store_suite::Abilities;
//! # use oras_memory::Memory as MyStore;
//!
//! // In tests of a store, this function has the attribute `#[tokio::test]`.
//! # #[tokio::main(flavor = "current_thread")]
//! async fn passes_the_store_suite() {
//!     oras_store_suite::run(Abilities::ALL, async || Arc::new(MyStore::new()) as _).await;
//!     oras_store_suite::run_ingest(async || Arc::new(MyStore::new()) as _).await;
//! }
//! # passes_the_store_suite();
//! ```
//!
//! If your store lacks an optional ability, set its field of [`Abilities`] to false. [`nodes`] makes content for
//! further tests. The suite pushes the children of a manifest before the manifest, because registries require this
//! order.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod blobs;
mod delete;
mod failures;
mod ingest;
mod manifests;
pub mod nodes;
mod referrers;
mod tags;

use std::sync::Arc;

use oras_store::{Source, Store};

pub use ingest::run_ingest;

/// The optional abilities of a store. [`run`] skips the checks of an ability that the store lacks.
///
/// ```
/// use oras_store_suite::Abilities;
///
/// let mut abilities = Abilities::ALL;
/// abilities.sha512 = false;
/// assert_ne!(abilities, Abilities::ALL);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Abilities {
    /// The store deletes manifests and blobs.
    pub delete: bool,
    /// The store lists tags in ascending order.
    pub sorted_tags: bool,
    /// The store resolves the digest of a blob to a descriptor of the media type `application/octet-stream`.
    pub resolves_blobs: bool,
    /// The store accepts content with a SHA-384 or SHA-512 digest.
    pub sha512: bool,
    /// The kind of the error states why the store rejected content: `DigestMismatch`, `SizeMismatch` or
    /// `InvalidContent`.
    pub error_kinds: bool,
    /// The store rejects malformed manifests.
    pub checks_manifests: bool,
}

impl Abilities {
    /// All abilities, which the local stores of ORAS have.
    pub const ALL: Self = Self {
        delete: true,
        sorted_tags: true,
        resolves_blobs: true,
        sha512: true,
        error_kinds: true,
        checks_manifests: true,
    };
}

/// A new store, without content.
type Fresh = Arc<dyn Store>;

fn source(store: &Fresh) -> Arc<dyn Source> {
    Arc::<dyn Store>::clone(store)
}

/// Runs the checks of a [`Store`] one after the other. `fresh` makes an empty store for each of them.
///
/// Needs a Tokio runtime with its timers enabled.
///
/// # Panics
/// If the store violates a rule of its traits.
pub async fn run<F>(abilities: Abilities, fresh: F)
where
    F: AsyncFn() -> Arc<dyn Store>,
{
    blobs::are_stored_unchanged(&fresh().await).await;
    blobs::ranges(&fresh().await).await;
    blobs::repeated_and_concurrent_pushes(&fresh().await).await;
    blobs::other_algorithms(&fresh().await, abilities).await;
    blobs::unknown_content(&fresh().await, abilities).await;
    manifests::keep_their_bytes(&fresh().await).await;
    manifests::resolve(&fresh().await, abilities).await;
    manifests::indexes(&fresh().await).await;
    manifests::malformed(&fresh().await, abilities).await;
    tags::are_replaced(&fresh().await).await;
    tags::are_listed(&fresh().await, abilities).await;
    tags::concurrent_pushes(&fresh().await).await;
    referrers::found_by_subject(&fresh().await).await;
    referrers::chains_and_indexes(&fresh().await).await;
    failures::wrong_bytes(&fresh().await, abilities).await;
    failures::broken_streams(&fresh().await).await;
    failures::dropped_pushes(&fresh().await).await;
    if abilities.delete {
        delete::manifests(&fresh().await).await;
        delete::blobs(&fresh().await).await;
        delete::referrers(&fresh().await).await;
        delete::tags(&fresh().await).await;
    }
}
