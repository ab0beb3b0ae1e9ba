//! The behaviour of every store. [`run`] panics at the first deviation.
//!
//! Children are pushed before their parents, because registries require it.

mod blobs;
mod delete;
mod failures;
mod ingest;
mod manifests;
mod referrers;
mod tags;

use std::sync::Arc;

use oras_store::{Source, Store};

pub use ingest::run as run_ingest;

/// The optional abilities of a store.
#[derive(Clone, Copy, Debug)]
pub struct Abilities {
    /// It deletes manifests and blobs.
    pub delete: bool,
    /// Its tags come in ascending order, so that `last` means the same as for a sorted list.
    pub sorted_tags: bool,
    /// The digest of a blob resolves, to a descriptor of `application/octet-stream`.
    pub resolves_blobs: bool,
    /// Content may be named by a SHA-512 digest.
    pub sha512: bool,
    /// The error kind states why content was rejected.
    pub error_kinds: bool,
    /// It rejects malformed manifests.
    pub checks_manifests: bool,
}

impl Abilities {
    /// All abilities, as a local store has them.
    pub const ALL: Self = Self {
        delete: true,
        sorted_tags: true,
        resolves_blobs: true,
        sha512: true,
        error_kinds: true,
        checks_manifests: true,
    };
}

/// The store under test.
type Fresh = Arc<dyn Store>;

fn source(store: &Fresh) -> Arc<dyn Source> {
    Arc::<dyn Store>::clone(store)
}

/// Runs all checks. `fresh` creates an empty store for each.
///
/// Needs a Tokio runtime with time enabled.
pub async fn run<F>(abilities: Abilities, fresh: F)
where
    F: AsyncFn() -> Arc<dyn Store>,
{
    blobs::arrive_as_they_were(&fresh().await).await;
    blobs::ranges(&fresh().await).await;
    blobs::twice_and_together(&fresh().await).await;
    blobs::other_algorithms(&fresh().await, abilities).await;
    blobs::what_is_not_there(&fresh().await, abilities).await;
    manifests::bytes_are_kept(&fresh().await).await;
    manifests::resolve(&fresh().await, abilities).await;
    manifests::indexes(&fresh().await).await;
    manifests::malformed(&fresh().await, abilities).await;
    tags::move_and_stay(&fresh().await).await;
    tags::lists(&fresh().await, abilities).await;
    tags::many_at_once(&fresh().await).await;
    referrers::found_by_subject(&fresh().await).await;
    referrers::chains_and_indexes(&fresh().await).await;
    failures::wrong_bytes(&fresh().await, abilities).await;
    failures::broken_streams(&fresh().await).await;
    failures::dropped_pushes(&fresh().await).await;
    if abilities.delete {
        delete::manifests(&fresh().await).await;
        delete::blobs(&fresh().await).await;
        delete::referrers(&fresh().await).await;
        delete::a_tag_alone(&fresh().await).await;
    }
}
