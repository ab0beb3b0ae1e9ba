//! A repository of a registry: blobs, manifests, tags, referrers, uploads and downloads.

pub(crate) mod blobs;
pub(crate) mod download;
pub(crate) mod manifests;
pub(crate) mod referrers;
#[expect(clippy::module_inception, reason = "the file is named for the type that it holds")]
pub(crate) mod repository;
pub(crate) mod response_checks;
pub(crate) mod store;
pub(crate) mod tag_deletion;
pub(crate) mod upload;
