//! The engine against a target that records what it is asked for, and how much at a time.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod events;
mod order;
mod recording;
