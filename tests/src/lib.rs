//! Tests that cross crates and run the built `oras` against real registries and real tools: see `tests/it/`.
