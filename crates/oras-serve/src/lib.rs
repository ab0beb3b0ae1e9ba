//! An OCI registry server over any store, following the distribution-spec.
//!
//! Use this crate to serve artifacts from a program, or to test a client against a registry in the same process.
//!
//! [`Stores`] opens the store of each repository; [`PerRepository`] implements it with a closure. [`Server`] speaks
//! HTTP: blobs with ranges, uploads in one request, streamed or in chunks, mounts, manifests by tag and digest, tags,
//! catalog, referrers, deletes. [`Registry`] is the same without a port of its own, for a program that serves it beside
//! its own routes.
//!
//! | feature | effect |
//! |---|---|
//! | `page` | a web page at `/` shows the repositories |
//! | `axum` | `Registry::router` returns the routes for axum |
//!
//! ```
//! use std::sync::Arc;
//!
//! use oras_memory::Memory;
//! use oras_serve::{PerRepository, Server, ServerOptions};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let stores = PerRepository::new(|_| async { Ok(Arc::new(Memory::new()) as _) });
//! let server = Server::bind("127.0.0.1:0", ServerOptions::default(), Arc::new(stores)).await?;
//! println!("docker://{}/hello", server.local_addr());
//! server.run(async {}).await
//! # }
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

mod api;
mod auth;
mod base_path;
mod connections;
mod digests_in_use;
mod http_message;
mod limits;
mod ops;
#[cfg(feature = "page")]
mod page;
mod per_repository;
mod registry;
mod registry_state;
mod server;
mod server_options;
mod stores;

pub use api::warnings::Warnings;
pub use auth::htpasswd::User;
pub use digests_in_use::DigestsInUse;
pub use http_message::Body;
pub use ops::access_log::ACCESS_TARGET;
pub use ops::config_file::Misconfigured;
pub use ops::tls_certificate::Tls;
pub use oras_spec as spec;
pub use oras_store as store;
pub use per_repository::PerRepository;
pub use registry::Registry;
pub use server::Server;
pub use server_options::ServerOptions;
pub use stores::Stores;
