//! Where a target can reach content without its source.

use std::path::PathBuf;

/// Where the bytes of a [`Content`](crate::Content) are, so that a target can mount or link them instead of a transfer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// In no place that a target can reach itself.
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
    /// In a local, unverified file that holds nothing else. A target can hash the file and then link it.
    File {
        /// The path.
        path: PathBuf,
    },
}
