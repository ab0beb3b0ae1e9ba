//! Tests of the engine with a target that records its requests and their concurrency.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod events;
mod order;
mod recording;
