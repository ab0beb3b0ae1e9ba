//! A client of OCI registries. A repository of a registry is a store.
//!
//! Use this crate to read artifacts from a registry, to push them, and to copy them to and from other stores.
//!
//! ```no_run
//! use oras_remote::store::futures::TryStreamExt;
//! use oras_remote::{Client, ClientOptions};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> oras_remote::store::Result<()> {
//! let client = Client::new(ClientOptions::default())?;
//! let artifact = client.artifact("ghcr.io/example/web:v1").await?;
//! for layer in artifact.layers() {
//!     let mut bytes = artifact.content(layer).reader().await?;
//!     while let Some(chunk) = bytes.try_next().await? {
//!         println!("{} bytes of {}", chunk.len(), layer.digest);
//!     }
//! }
//! # Ok(()) }
//! ```
//!
//! A [`Client`] holds connections, [`ClientOptions`] and tokens. A [`Repository`] implements
//! [`Store`](oras_store::Store), the full contract of `oras-store`. A [`Registry`] has the operations of a
//! whole registry. Code that takes a store works with every store. This example uses a store in memory:
//!
//! ```
//! use oras_memory::Memory;
//! use oras_remote::{Client, ClientOptions, Repository};
//! use oras_spec::{Descriptor, ImageManifest, MediaType, Reference};
//! use oras_store::{Content, PushMode, Result, Store};
//!
//! /// Stores a file as an artifact called `v1`, and reads its manifest back.
//! async fn send(store: &dyn Store) -> Result<Descriptor> {
//!     let layer = Content::of(MediaType::LAYER_TAR, "hello world\n");
//!     let config = Content::of(MediaType::EMPTY_JSON, "{}");
//!     store.push(&layer, PushMode::Untagged).await?;
//!     store.push(&config, PushMode::Untagged).await?;
//!     let manifest = ImageManifest::new(Descriptor::empty_json(), vec![layer.descriptor().clone()]);
//!     let manifest = Content::of(MediaType::IMAGE_MANIFEST, manifest.to_bytes());
//!     store.push(&manifest, PushMode::Tagged("v1")).await?;
//!     let (node, _bytes) = store.resolve_with_bytes("v1").await?;
//!     Ok(node)
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<()> {
//! let node = send(&Memory::new()).await?;
//! assert_eq!(node.media_type, MediaType::IMAGE_MANIFEST);
//!
//! // By default, the client uses HTTP for `localhost` and HTTPS for all other hosts.
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
//! Programs without async code use the module `blocking`, which needs the feature `blocking`.
//!
//! # Guarantees
//! - **Credentials and headers stay with their registry.** One function attaches them by address, and only to the
//!   scheme, host and port of the registry. Requests to other origins, after a redirect or for the `Location` of an
//!   upload, contain neither. A token server receives only the credential, and only if its address is acceptable. The
//!   client never follows an address from HTTPS to HTTP.
//! - **A registry can't use the client to reach private networks.** Hosts that a registry names (by a redirect, an
//!   upload's `Location`, a token server) are checked after name resolution: loopback and private addresses are
//!   allowed only if the registry has such an address too, link-local addresses never ([`AddressClass`],
//!   [`AllowedHost`]).
//! - **A mirror is a separate registry** ([`Mirrored`], [`RegistriesConf`]): on another host, it receives no
//!   credentials or headers of the registry that it mirrors. Its content is verified by digest.
//! - **Retries happen in one place**, the transport: after timeouts, broken connections, 408, 429 and 5xx, as
//!   [`RetryPolicy`] and `Retry-After` define. A broken transfer resumes; an upload whose session was lost starts
//!   again.
//! - **Overloaded servers get fewer requests**: 429 and 503 halve the number of concurrent requests, and
//!   `Retry-After` delays all of them; a [`RateLimit`] bounds the bytes of blobs per second.
//! - **Every read is bounded**: manifests to 4 MiB, pages of lists to 64 MiB, errors to 8 KiB, tokens to 128 KiB, all
//!   after decoding; blobs are streamed, in memory that does not grow with their size. Every wait has a timeout.
//! - **Digests are verified**: the client compares the digest of a manifest with the request and with the
//!   response, the reader verifies blobs, and the registry verifies uploads.
//! - **Error messages match the Go tool's**; [`Error::find`](oras_store::Error::find) finds the registry's answer as
//!   [`ResponseError`], also where the message does not show it.
//! - **The environment is read only on request**, by [`ClientOptions::from_env`] and the functions that it names. The
//!   exception is the location of the system's certificates ([`RootCertificates`]).
//! - **Requests need a tokio runtime** with timers and I/O; without one they return an error of kind `Unsupported`.
//!
//! # Resume and cancellation
//! Dropping a future cancels its requests. A manifest is stored completely or not at all; an upload that was cut or
//! cancelled leaves an open session at the registry, which expires there. Within one call, broken downloads and uploads
//! resume. With [`ClientOptions::unfinished_uploads`], a later process resumes the upload of a blob as well:
//!
//! ```no_run
//! use oras_remote::store::spec::MediaType;
//! use oras_remote::{Client, ClientOptions, Repository};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> oras_remote::store::Result<()> {
//! let options = ClientOptions::default().unfinished_uploads("/var/lib/example/uploads");
//! let repository = Repository::open(&Client::new(options)?, "localhost:5000/models")?;
//! // If this program is killed here, the next run sends only the bytes that the registry lacks.
//! repository.push_blob(MediaType::OCTET_STREAM, vec![7; 100 << 20]).await?;
//! # Ok(()) }
//! ```
//!
//! # Runtime and memory
//! A client needs a Tokio runtime with I/O and time enabled. A single-threaded runtime is enough, and takes the least CPU
//! for many small blobs. Blobs are streamed, in memory that does not grow with their size. A slow download over several
//! connections holds at most [`ParallelDownload::window`] bytes.
//!
//! # Credentials
//! A [`CredentialStore`] supplies the [`Credential`] of a registry when the registry asks for one: [`DockerConfig`]
//! reads and writes the files of `docker login`, including credential helpers ([`DockerConfig::system`] finds them);
//! [`StaticCredentials`] has credentials for named servers; [`Anonymous`] has none. Basic and Bearer authentication are
//! supported. Tokens are cached for their lifetime, and a push requests all of its scopes at once.
//!
//! # Referrers
//! The client reads and writes referrers by the API if the registry supports it, and by the tag schema
//! otherwise ([`ReferrersMode`]). Updates of the tag schema are not atomic: a lock file serializes writers on
//! one machine, and each entry is verified after the write and written again if another client removed it.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod auth;
#[cfg(feature = "blocking")]
pub mod blocking;
mod client;
mod client_options;
mod config;
mod connection;
mod from_env;
#[cfg(test)]
mod fuzz_tests;
mod host_state;
mod http;
mod mirror;
mod registry;
mod registry_probe;
mod registry_profile;
mod repository;

pub use oras_store as store;
pub use oras_store::spec;

pub use auth::credential::{Anonymous, Credential, CredentialStore, StaticCredentials};
pub use auth::secret::Secret;
pub use client::Client;
pub use client_options::{ClientOptions, HttpVersion, ParallelDownload, ReferrersMode, WarningHandler};
pub use config::docker_config::{DockerConfig, Keeper, Located, NoticeHandler};
pub use config::registries_conf::{RegistriesConf, RegistryBlocked};
pub use connection::address_class::AddressClass;
pub use connection::address_guard::{AddressRefused, AllowedHost};
pub use connection::name_resolution::{NameResolver, ResolveOverride};
pub use connection::proxy::Proxy;
pub use connection::root_certificates::{ClientCertificate, RootCertificates};
pub use http::bandwidth_limit::RateLimit;
pub use http::network_error::{ServerRole, WrongScheme};
pub use http::network_failure::{NetworkFailure, NetworkReason};
pub use http::response_error::{MissingCredential, ResponseError};
pub use http::retry::RetryPolicy;
pub use http::trace::TRACE_TARGET;
pub use mirror::mirrored::Mirrored;
pub use oras_tls::PemSource;
pub use registry::Registry;
pub use registry_probe::{GrantedAccess, PingAnswer, RegistryProbe, RegistryRule};
pub use repository::repository::Repository;
pub use repository::upload::unfinished_uploads::{UnfinishedUpload, UnfinishedUploads};
