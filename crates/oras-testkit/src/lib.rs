//! Helpers that the tests of all ORAS crates share. The crate is never published.
//!
//! | module | contents |
//! |---|---|
//! | [`suite`] | the tests that every store passes, from `oras-store-suite` |
//! | [`nodes`] | blobs, manifests and referrers for tests, from `oras-store-suite` |
//! | [`random`] | reproducible random numbers, bytes and text |
//! | [`repetitions`](mod@repetitions) | how many times a timing-dependent test repeats |
//! | [`peers`] | paths of the real tools, and the report of a test that lacks one |
//! | [`registry`] | real registries, each a process on a free port |
//! | [`object_server`] | a server of the S3 API over a directory |
//! | [`ports`] | reserved ports for programs that can't choose a free one |
//! | [`recorder`] | a proxy that records requests and injects faults |
//! | [`tarball`] | tar archives with arbitrary headers and content |
//! | [`scripted`] | an HTTP server whose responses a closure computes |
//! | [`http2`] | an HTTP/2 server with one fixed response |
//! | [`memory_registry`] | the handler of a well-behaved registry for [`scripted`] |
//! | [`quirky_registry`] | registries that deviate from the specification like well-known services |
//! | [`token_server`] | a token server whose tokens real registries accept |
//! | [`files`] | files, created with their parent directories |
//! | [`readable_output`] | finds debug text in the output of a program |
//! | [`certificates`], [`tls`] | certificate authorities, certificates and TLS servers |
//!
//! Every helper panics on failure.

pub mod certificates;
pub mod files;
pub mod http2;
pub mod memory_registry;
pub mod object_server;
pub mod peers;
pub mod ports;
pub mod quirky_registry;
pub mod random;
pub mod readable_output;
pub mod recorder;
pub mod registry;
pub mod repetitions;
pub mod scripted;
pub mod tarball;
pub mod tls;
pub mod token_server;

pub use oras_store_suite as suite;
pub use oras_store_suite::nodes;
