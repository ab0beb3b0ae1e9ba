//! A registry server over OCI layouts or memory, optionally as a caching proxy of other registries.

mod bundle_repositories;
mod disk_reserve;
mod garbage_collection;
mod layout_root;
mod options;
mod proxy;
mod readiness;
mod single_repository;
mod start;

pub use garbage_collection::GarbageCollection;
pub use options::{ServeFrom, ServeOptions};
pub use proxy::ProxyOptions;
pub use start::{registry, serve};
