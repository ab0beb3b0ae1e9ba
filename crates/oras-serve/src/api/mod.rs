//! The endpoints of the distribution-spec, and the code that their handlers share.

pub(crate) mod blobs;
mod catalog;
pub(crate) mod conditions;
mod delete_on_full_disk;
pub(crate) mod endpoint;
pub(crate) mod error;
mod manifests;
mod mount;
mod pagination;
mod proxy_namespace;
pub(crate) mod query;
mod range;
pub(crate) mod reference_locks;
mod referrers;
pub(crate) mod request_context;
pub(crate) mod route;
pub(crate) mod router;
mod tags;
mod upload_body;
pub(crate) mod upload_session;
pub(crate) mod upload_sessions;
mod uploads;
mod verified_stream;
pub(crate) mod warnings;
