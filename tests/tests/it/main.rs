//! The built `oras`, run as users run it.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod backup;
mod cache;
mod completion;
mod extensions;
mod failures;
mod interop;
mod keychain;
mod leftovers;
mod lines;
mod manifests;
mod nonsense;
mod packing;
mod parallel;
mod partial;
mod profiles;
mod rate;
mod registries;
mod requests;
mod sandbox;
mod scripts;
mod serve;
mod serve_crash;
mod serve_limits;
mod serve_users;
mod serve_wire;
mod terminal;
mod tokens;
mod unchanged;
mod untag;
