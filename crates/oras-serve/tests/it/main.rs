//! Tests of the registry over memory and over OCI layouts, with raw requests and with real tools.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod access;
mod blobs;
mod client;
mod conditions;
mod embedded;
mod embedded_client;
mod limits;
mod lists;
mod manifests;
mod metrics;
#[cfg(feature = "page")]
mod page;
#[cfg(feature = "page")]
mod page_manifests;
#[cfg(feature = "page")]
mod page_tags;
mod rules;
mod stores;
mod tokens;
mod tools;
mod uploads;
