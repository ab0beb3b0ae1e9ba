//! What the chores share: paths and the environment, scratch files, other programs, cargo's view of the workspace, and
//! the installed peers.
//!
//! The verbs are in the program of the same name. The benchmark and the load test are a program of their own,
//! `oras-bench`, which uses this library.
#![expect(clippy::print_stdout, reason = "a chore talks to the person who started it")]

pub mod env;
pub mod files;
pub mod peers;
pub mod process;
pub mod workspace;
