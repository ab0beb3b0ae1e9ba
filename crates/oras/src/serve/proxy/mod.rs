//! A caching proxy of other registries (distribution-spec, main, "Registry Proxying").

mod blob_download;
mod options;
mod proxied_repository;
mod proxy_stores;
mod upstream;

pub use options::ProxyOptions;
pub(super) use proxy_stores::Proxy;

/// The target of log events about upstreams: part of the server's log, as users see it.
const LOG_TARGET: &str = "oras_serve::proxy";
