//! A client of OCI registries: a repository of a registry as a store.
//!
//! A [`Client`] holds what registries are reached with: connections, [`ClientOptions`], tokens. A [`Repository`] of a
//! registry is a store of the `oras-store` contract: [`Source`](oras_store::Source),
//! [`Target`](oras_store::Target), [`Predecessors`](oras_store::Predecessors), [`TagList`](oras_store::TagList) and
//! [`Delete`](oras_store::Delete); a [`Registry`] is what is above repositories. What is written for a store runs on
//! any, here in memory:
//!
//! ```
//! use oras_memory::Memory;
//! use oras_remote::{Client, ClientOptions, Repository};
//! use oras_spec::{Descriptor, ImageManifest, MediaType, Reference};
//! use oras_store::{Content, Result, Store};
//!
//! /// Stores a file as an artifact called `v1`, and reads its manifest back.
//! async fn send(store: &dyn Store) -> Result<Descriptor> {
//!     let layer = Content::of(MediaType::LAYER_TAR, "hello world\n");
//!     let config = Content::of(MediaType::EMPTY_JSON, "{}");
//!     store.push(&layer).await?;
//!     store.push(&config).await?;
//!     let manifest = ImageManifest::new(Descriptor::empty_json(), vec![layer.descriptor().clone()]);
//!     store.tag(&Content::of(MediaType::IMAGE_MANIFEST, manifest.to_bytes()), "v1").await?;
//!     let (node, _bytes) = store.resolve_with_bytes("v1").await?;
//!     Ok(node)
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<()> {
//! let node = send(&Memory::new()).await?;
//! assert_eq!(node.media_type, MediaType::IMAGE_MANIFEST);
//!
//! // `localhost` is spoken to by HTTP, all others by HTTPS, unless the options say otherwise.
//! let client = Client::new(ClientOptions::default())?;
//! let reference: Reference = "localhost:5000/hello:v1".parse()?;
//! let repository = Repository::new(&client, &reference)?;
//! assert_eq!(repository.name(), "localhost:5000/hello");
//! # if false {
//! // With a registry at this address:
//! assert_eq!(send(&repository).await?, node);
//! # }
//! # Ok(()) }
//! ```
//!
//! # What can be relied on
//! - **Credentials and headers stay with their registry.** They are attached by one function, which takes the address
//!   and gives them to no other scheme, host or port: not after a redirect, not to an upload's `Location`. A token
//!   server gets the credential only, if its address is one that a registry may name. HTTPS is never left for HTTP.
//! - **A registry can't use the client to reach into its network.** A host that it names (by a redirect, an upload's
//!   `Location`, a token server) is looked at after its name is resolved: this machine and private networks are reached
//!   only from a registry that is there too, link-local addresses never ([`AddressClass`], [`AllowedHost`]).
//! - **A mirror is a registry of its own** ([`Mirrored`], [`RegistriesConf`]): it gets nothing that is for the registry
//!   it stands in for, and what it sends counts only for what its digest says.
//! - **One place tries again**: the transport, after timeouts, broken connections, 408, 429 and 5xx, by
//!   [`RetryPolicy`] and `Retry-After`. A transfer that breaks goes on where it stopped; an upload that the registry has
//!   forgotten begins anew.
//! - **A server that has too much to do is asked for less**: after 429 or 503 it gets half as many requests at a time,
//!   and none while its `Retry-After` lasts; a [`RateLimit`] bounds the bytes of blobs in a second.
//! - **Nothing that is read is unbounded**: manifests 4 MiB, pages of lists 64 MiB, errors 8 KiB, tokens 128 KiB, all
//!   counted after a content encoding is decoded; blobs are streamed, in memory that does not grow with their size. A
//!   server that falls silent is given up.
//! - **Digests are checked**: of manifests against what was asked for and what the registry says, of blobs by whoever
//!   reads them, of uploads by the registry.
//! - **Errors speak like the Go tool's**; what a registry answered is found in the chain as [`ResponseError`].
//!
//! # Who is asking
//! A [`CredentialStore`] is asked for the [`Credential`] of a host when its registry wants one: [`DockerConfig`] reads
//! and writes what `docker login` does, credential helpers included; [`StaticCredentials`] has one for all;
//! [`Anonymous`] has none. Basic and Bearer are answered. Tokens are kept for as long as they live, and a push asks
//! for all it needs at once.
//!
//! # Referrers
//! By the API where the registry has it, else by the tag schema in both directions ([`ReferrersMode`]). The tag schema
//! has no atomic change: writers on one machine take turns by a lock file, and an entry is looked for after it was
//! written and written again if another client undid it.

mod additions;
mod address;
mod auth;
mod blobs;
mod body;
mod certificates;
mod challenge;
mod client;
mod config_file;
mod connections;
mod credentials;
mod docker_config;
mod download;
mod encoding;
mod endpoint;
#[cfg(test)]
mod fuzz_tests;
mod guard;
mod helper;
mod link;
mod lock;
mod manifests;
mod mirrors;
mod network;
mod no_proxy;
mod options;
mod paging;
mod pool;
mod profile;
mod proxy;
mod rate;
mod referrers;
mod referrers_tag;
mod registries_conf;
mod registry;
mod repository;
mod request;
mod response;
mod retry;
mod scope;
mod secret;
mod session;
mod throttle;
mod tls;
mod token;
mod trace;
mod transport;
mod untag;
mod upload;
mod verifier;

pub use address::AddressClass;
pub use client::Client;
pub use credentials::{Anonymous, Credential, CredentialStore, StaticCredentials};
pub use docker_config::{DockerConfig, Keeper, Located, NoticeHandler};
pub use guard::{AddressRefused, AllowedHost};
pub use mirrors::Mirrored;
pub use network::{ServerRole, WrongScheme};
pub use options::{
    ClientOptions, HttpVersion, ParallelDownload, ReferrersMode, ResolveOverride, WarningHandler,
};
pub use rate::RateLimit;
pub use registries_conf::{RegistriesConf, RegistryBlocked};
pub use registry::Registry;
pub use repository::Repository;
pub use response::{MissingCredential, ResponseError};
pub use retry::RetryPolicy;
pub use secret::Secret;
pub use trace::TRACE_TARGET;
pub use upload::{UnfinishedUpload, UnfinishedUploads};
