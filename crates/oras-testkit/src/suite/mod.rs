//! What every store does. A store passes when [`run`] returns; it panics at the first thing that is different.
//!
//! Children are always pushed before their parents, because registries ask for that.

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

/// What a store can do beyond what the contract demands of all.
#[derive(Clone, Copy, Debug)]
pub struct Abilities {
    /// It forgets manifests and blobs.
    pub delete: bool,
    /// Its tags come in ascending order, so that `last` means the same as for a sorted list.
    pub sorted_tags: bool,
    /// The digest of a blob resolves, to a descriptor of `application/octet-stream`.
    pub resolves_blobs: bool,
    /// Content may be named by a SHA-512 digest.
    pub sha512: bool,
    /// What is wrong with refused content is said by the error's kind.
    pub error_kinds: bool,
    /// A manifest that can't be read as one is refused.
    pub checks_manifests: bool,
}

impl Abilities {
    /// Everything: what a store does that has its content at hand.
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

/// Runs all checks, each on a store of its own that `fresh` makes; it must be empty.
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
