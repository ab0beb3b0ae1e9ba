//! An OCI registry over any store: as much of the distribution-spec as clients and tests need.
//!
//! A [`Stores`] gives the store of each repository; [`PerRepository`] makes one from a closure. [`Server`] speaks HTTP:
//! blobs with ranges, uploads in one request, streamed or in chunks, mounts, manifests by tag and digest, tags,
//! catalog, referrers, deletes. A web page at `/` shows people what is there.
//!
//! ```
//! use std::sync::Arc;
//!
//! use oras_memory::Memory;
//! use oras_serve::{Options, PerRepository, Server};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let stores = PerRepository::new(|_| async { Ok(Arc::new(Memory::new()) as _) });
//! let server = Server::bind("127.0.0.1:0", Options::default(), Arc::new(stores)).await?;
//! println!("docker://{}/hello", server.local_addr());
//! server.run(async {}).await
//! # }
//! ```

mod access;
mod begun;
mod blobs;
mod challenge;
mod conditions;
mod connections;
mod dispatch;
mod error;
mod failures;
mod grant;
mod health;
mod lists;
mod manifest_memory;
mod manifests;
mod metrics;
mod mount;
mod namespace;
mod needed;
mod options;
mod pace;
mod page;
mod patience;
mod query;
mod range;
mod reread;
mod respond;
mod route;
mod rules;
mod scope;
mod server;
mod sessions;
mod shares;
mod stores;
mod tls;
mod tokens;
mod trace;
mod uploads;
mod users;
mod verified_stream;
mod visitor;
mod warnings;
mod write_tasks;

pub use needed::Needed;
pub use options::Options;
pub use reread::Misconfigured;
pub use server::Server;
pub use stores::{PerRepository, Stores};
pub use tls::Tls;
pub use trace::ACCESS_TARGET;
pub use users::User;
pub use warnings::warn;
