//! Where content also lives.

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
}
