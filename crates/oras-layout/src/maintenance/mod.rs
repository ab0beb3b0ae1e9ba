//! Deleting content: garbage collection, cache eviction, pruning, and files of killed processes.

pub(crate) mod blob_removal;
pub(crate) mod cache_eviction;
pub(crate) mod cache_size;
mod collection_plan;
pub(crate) mod garbage_collection;
pub(crate) mod garbage_options;
pub(crate) mod prune;
pub(crate) mod quarantine;
pub(crate) mod stale_files;
mod tag_removal;
