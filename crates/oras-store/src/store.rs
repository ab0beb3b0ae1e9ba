//! The traits of a whole repository: reading with tags and referrers, and deleting.

use async_trait::async_trait;
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use oras_spec::{Descriptor, MediaType};

use crate::{ErrorKind, IngestTarget, Result, Source};

/// A source that also finds referrers and lists tags: everything that can be read from a repository. Backups, mirrors
/// and servers read from it.
///
/// ```
/// use futures::TryStreamExt;
/// use oras_store::{ReadStore, Result};
///
/// /// Prints each tag with the number of its referrers.
/// async fn list(store: &dyn ReadStore) -> Result<()> {
///     let mut tags = store.tags_after(None);
///     while let Some(tag) = tags.try_next().await? {
///         let referrers = store.predecessors(&store.resolve(&tag).await?, None).await?;
///         println!("{tag}: {} referrers", referrers.len());
///     }
///     Ok(())
/// }
/// ```
#[async_trait]
pub trait ReadStore: Source {
    /// Returns the manifests and indexes whose `subject` is `node`, each once, with its artifact type and annotations.
    /// With `artifact_type`, returns only the referrers of that type. An index that lists `node` among its manifests is
    /// not a referrer, and neither is the referrer of a referrer.
    ///
    /// The list is empty if nothing refers to `node`, also if the store does not have `node`. The order is that of the
    /// store. Tags have no effect on the list.
    async fn predecessors(
        &self,
        node: &Descriptor,
        artifact_type: Option<&MediaType>,
    ) -> Result<Vec<Descriptor>>;

    /// Lists the tags after `last`, or all tags, page by page in the order of the store. The first error ends the
    /// stream. A store without tags lists none, which is no error.
    ///
    /// Local stores list tags in ascending order of their bytes. They exclude `last` itself, which need not exist.
    /// For a registry the order and the meaning of `last` are those of its list.
    fn tags_after<'a>(&'a self, last: Option<&'a str>) -> BoxStream<'a, Result<String>>;

    /// Lists all tags in the order of [`tags_after`](Self::tags_after), each with the descriptor that
    /// [`resolve`](Source::resolve) returns for it.
    ///
    /// The default resolves one tag after the other, and leaves out tags that were deleted in the meantime. A store
    /// that has all descriptors at hand returns them at once.
    fn tagged_nodes(&self) -> BoxStream<'_, Result<(String, Descriptor)>> {
        let nodes = self.tags_after(None).try_filter_map(async |tag| match self.resolve(&tag).await {
            Ok(node) => Ok(Some((tag, node))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        });
        nodes.boxed()
    }
}

/// What [`Store::delete`] deletes: content with all of its tags, or only a tag.
#[derive(Clone, Copy, Debug)]
pub enum DeleteTarget<'a> {
    /// The content of a descriptor, every tag that names it, and its entry in the list of referrers of its subject.
    /// Other content stays, also content that refers to it or that it lists. It can be pushed again.
    Content(&'a Descriptor),
    /// A tag. The manifest stays available by its digest and its other tags.
    Tag(&'a str),
}

/// A store with every operation of a repository in a registry. Functions that also delete require it in their bound.
///
/// ```
/// use oras_store::{DeleteTarget, Result, Store};
///
/// /// Removes a tag, then deletes the manifest that it named and its other tags.
/// async fn delete(store: &dyn Store, tag: &str) -> Result<()> {
///     let manifest = store.resolve(tag).await?;
///     store.delete(DeleteTarget::Tag(tag)).await?;
///     store.delete(DeleteTarget::Content(&manifest)).await
/// }
/// ```
#[async_trait]
pub trait Store: ReadStore + IngestTarget {
    /// Deletes content or a tag.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if the store does not have it. `InvalidInput` if the tag is
    /// a digest. `Unsupported` if the store forbids the deletion or cannot delete a tag alone: a registry may forbid
    /// both (distribution-spec, "Content Management").
    async fn delete(&self, target: DeleteTarget<'_>) -> Result<()>;
}
