//! The options for opening a layout.

use crate::layout_files::TagRule;

/// The options of a layout. A handle and its clones share them.
///
/// ```
/// use oras_layout::{Layout, LayoutOptions};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> oras_layout::store::Result<()> {
/// # let directory = tempfile::tempdir().unwrap();
/// // A cache of at most 10 GiB.
/// let options = LayoutOptions::default().size_limit(10 << 30).link_blobs(false);
/// let cache = Layout::open_or_create_with(directory.path().join("cache"), options).await?;
/// assert_eq!(cache.size_limit(), Some(10 << 30));
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct LayoutOptions {
    /// [`Store::delete`](oras_store::Store::delete) also deletes the node's referrers, and then what the deleted
    /// manifests listed and no other node needs, in one step under the lock of the layout.
    ///
    /// A node stays if it has a tag, or if a remaining manifest lists it or refers to it. The deletion cannot detect a
    /// writer that found a blob but has not listed its manifest yet, so other programs must not push at the same time.
    /// The default is false.
    pub prune_on_delete: bool,
    /// Blobs of another layout on the same file system are verified and then hard-linked, if only the owner of this
    /// layout may write them and all users may read them. The default is true.
    ///
    /// Both layouts share such a file: a program that writes into it damages both. Without this option every blob is
    /// copied.
    pub link_blobs: bool,
    /// The approximate maximum size in bytes, which makes the layout a cache: a write that exceeds it evicts the least
    /// recently used blobs and the entries of evicted manifests. The default is no limit.
    ///
    /// A use is a write, a [`Layout::touch`](crate::Layout::touch), or a read where the file system records access
    /// times. Blobs that were used in the last five minutes and blobs that a tag reaches stay, whatever the size. A
    /// reader of an evicted blob can read it to the end. The size is kept in the file `cache-size`, and counted once
    /// a day because other writers may not update it.
    pub size_limit: Option<u64>,
    /// Resolving a digest marks the blob as in use, which protects it from [`Layout::collect_garbage`]. A server
    /// needs this: its clients query which blobs exist before they push the manifest. The default is false.
    ///
    /// [`Layout::collect_garbage`]: crate::Layout::collect_garbage
    pub record_use: bool,
    /// The names of entries are served as the tags of a repository. A name that is not a valid tag is left out,
    /// unless it is a full reference such as `docker.io/library/tool:3.20`: it is served as the tag in it, if all
    /// full references with that tag name the same manifest. An entry whose name is exactly the tag comes first. The
    /// default is false.
    ///
    /// Moving or deleting such a tag moves or deletes the names of the entries that it represents.
    pub repository_tags: bool,
}

impl LayoutOptions {
    oras_store::setters! {
        prune_on_delete: bool;
        link_blobs: bool;
        size_limit: impl Into<Option<u64>> => size_limit.into();
        record_use: bool;
        repository_tags: bool;
    }
}

impl Default for LayoutOptions {
    fn default() -> Self {
        Self {
            prune_on_delete: false,
            link_blobs: true,
            size_limit: None,
            record_use: false,
            repository_tags: false,
        }
    }
}

impl LayoutOptions {
    pub(crate) fn tag_rule(&self) -> TagRule {
        if self.repository_tags { TagRule::Repository } else { TagRule::AnyName }
    }
}
