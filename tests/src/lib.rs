//! Tests that cross crates and run the built `oras` against real registries and real tools: see `tests/it/`.

/// The examples of the README compile.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
