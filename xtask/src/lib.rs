//! Helpers of the chores: paths and environment, scratch files, other programs, cargo metadata, and the installed peers.
//!
//! The program of the same name has the verbs. The benchmark and the load test are another program, `oras-bench`, which
//! uses this library.
#![expect(clippy::print_stdout, reason = "a chore talks to the person who started it")]

pub mod env;
pub mod files;
pub mod peers;
pub mod process;
pub mod workspace;
