//! Tests that cross crates and run the built `oras` against real registries and real tools: see `tests/it/`.

/// Compiles the examples of a README, which are no documentation of this crate.
macro_rules! compile_examples {
    ($($name:ident: $path:literal,)+) => {$(
        #[cfg(doctest)]
        #[doc = include_str!($path)]
        pub struct $name;
    )+};
}

compile_examples! {
    Project: "../../README.md",
    Oras: "../../crates/oras/README.md",
    Bucket: "../../crates/oras-bucket/README.md",
    Copy: "../../crates/oras-copy/README.md",
    Files: "../../crates/oras-files/README.md",
    Fs: "../../crates/oras-fs/README.md",
    Layout: "../../crates/oras-layout/README.md",
    Memory: "../../crates/oras-memory/README.md",
    Remote: "../../crates/oras-remote/README.md",
    Serve: "../../crates/oras-serve/README.md",
    Spec: "../../crates/oras-spec/README.md",
    Store: "../../crates/oras-store/README.md",
    StoreSuite: "../../crates/oras-store-suite/README.md",
    Tls: "../../crates/oras-tls/README.md",
    Template: "../../crates/go-text-template/README.md",
}
