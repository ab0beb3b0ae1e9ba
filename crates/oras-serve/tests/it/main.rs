//! The registry as clients see it: over memory and over OCI layouts, byte by byte and with the real tools.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod access;
mod blobs;
mod client;
mod conditions;
mod limits;
mod lists;
mod manifests;
mod metrics;
mod page;
mod rules;
mod stores;
mod tokens;
mod tools;
mod uploads;
