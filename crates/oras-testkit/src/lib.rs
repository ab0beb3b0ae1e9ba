//! What the tests of the ORAS crates share; never published, never part of a program.
//!
//! | module | gives |
//! |---|---|
//! | [`suite`] | one behaviour suite that every store passes |
//! | [`nodes`] | content to test with: blobs, manifests, referrers |
//! | [`numbers`] | numbers for tests with nonsense |
//! | [`rounds`](mod@rounds) | how often a test repeats what may go wrong once in a while |
//! | [`peers`] | where the real tools are, and how a test says that it lacks one |
//! | [`registry`] | real registries, each a process on a free port of this machine |
//! | [`ports`] | ports for programs that can't choose one |
//! | [`recorder`] | a proxy in front of one: writes down requests, injects faults |
//! | [`tarball`] | tar archives with any bytes in them |
//! | [`scripted`] | a server that answers as a test says; [`shelf`] is the part of it that behaves |
//! | [`quirks`] | registries that behave like the big services, which nobody can install |
//! | [`tokens`] | a token server that signs what it grants, for real registries |
//! | [`files`] | files with the directories above them |
//! | [`certificates`] | authorities and certificates for one test |
//!
//! Everything here panics when it fails, as tests do.

pub mod certificates;
pub mod files;
pub mod http2;
pub mod nodes;
pub mod numbers;
pub mod peers;
pub mod ports;
pub mod quirks;
pub mod recorder;
pub mod registry;
pub mod rounds;
pub mod scripted;
pub mod shelf;
pub mod suite;
pub mod tarball;
pub mod tls;
pub mod tokens;
