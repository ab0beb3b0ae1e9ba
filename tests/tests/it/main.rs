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
mod relay;
mod requests;
mod sandbox;
mod scripts;
mod serve;
mod serve_clients;
mod serve_collect;
mod serve_crash;
mod serve_docs;
mod serve_layouts;
mod serve_page;
mod serve_sessions;
mod serve_users;
mod serve_wire;
mod terminal;
mod tokens;
mod unchanged;
mod untag;
