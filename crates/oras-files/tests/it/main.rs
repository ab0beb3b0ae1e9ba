//! Files and directories as layers, beside the Go tool.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod collection;
mod copied;
mod extract;
mod go;
mod kept;
mod sending;
