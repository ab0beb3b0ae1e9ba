//! Where content also lives.

use std::path::PathBuf;

/// Where the bytes of some [`Content`](crate::Content) live, so that a target may take a shortcut.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// Nowhere a target could reach by itself.
    #[default]
    Opaque,
    /// In a repository of a registry: another repository of the same registry can mount it
    /// (distribution-spec, "Mounting a blob from another repository").
    Repository {
        /// Scheme, host and port: `http://localhost:5000`.
        registry: String,
        /// The repository's name.
        repository: String,
    },
    /// In a file of this machine that holds nothing else, and that nobody has verified: a target may hash it there and
    /// then share it.
    File {
        /// The path.
        path: PathBuf,
    },
}
