//! Files and directories as layers, compared with the Go tool.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod collection;
mod directory_stream;
mod existing_files;
mod go_compatibility;
mod hostile_archives;
mod local_copy;
