//! Where a target can reach content without its source.

use std::path::PathBuf;

/// Where the bytes of a [`Content`](crate::Content) are. A target can mount or link them instead of transferring them.
///
/// ```
/// use oras_store::{Content, Origin};
///
/// /// Returns true if a registry can mount the content from another of its repositories.
/// fn is_mountable(content: &Content, url: &str) -> bool {
///     matches!(content.origin(), Origin::Repository { registry, .. } if registry == url)
/// }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// Unknown: a target must read the bytes from the source.
    #[default]
    Opaque,
    /// In a repository of a registry: another repository of the same registry can mount it
    /// (distribution-spec, "Mounting a blob from another repository").
    Repository {
        /// Scheme, host and port: `http://localhost:5000`.
        registry: String,
        /// The name of the repository.
        repository: String,
    },
    /// In a local, unverified file with only this content. A target can hash the file and then link it.
    File {
        /// The path of the file.
        path: PathBuf,
    },
}
