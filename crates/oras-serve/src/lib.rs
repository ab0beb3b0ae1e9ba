//! An OCI registry server over any store, following the distribution-spec.
//!
//! [`Stores`] opens the store of each repository; [`PerRepository`] implements it with a closure. [`Server`] speaks
//! HTTP: blobs with ranges, uploads in one request, streamed or in chunks, mounts, manifests by tag and digest, tags,
//! catalog, referrers, deletes. With the feature `page`, a web page at `/` shows the repositories.
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

mod api;
mod auth;
mod connections;
mod digests_in_use;
mod http_message;
mod limits;
mod ops;
#[cfg(feature = "page")]
mod page;
mod per_repository;
mod registry;
mod server;
mod server_options;
mod stores;

pub use api::warnings::Warnings;
pub use auth::htpasswd::User;
pub use digests_in_use::DigestsInUse;
pub use ops::access_log::ACCESS_TARGET;
pub use ops::config_file::Misconfigured;
pub use ops::tls_certificate::Tls;
pub use per_repository::PerRepository;
pub use server::Server;
pub use server_options::ServerOptions;
pub use stores::Stores;
