//! Adds tags to a manifest, and removes tags.

use oras_copy::Concurrency;
use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use oras_spec::{Descriptor, Digest};
use oras_store::{Content, DeleteTarget, Error, ErrorKind, PushMode, Result, Side, Store, Target};

use crate::resolve::fetch_manifest;
use crate::{Listener, Step};

/// Adds `tags` to the manifest that `reference` names, and returns the manifest.
///
/// At most `concurrency` tags are written at a time; 5 by default.
///
/// ```
/// use oras::{Artifact, Memory, Quiet, tag, untag};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> oras::store::Result<()> {
/// let store = Memory::new();
/// Artifact::new("application/vnd.me").push(&store, Some("v1")).await?;
/// tag(store.clone(), "v1", &["latest".to_owned()], 0, Quiet).await?;
/// untag(store.clone(), "v1").await?;
/// assert_eq!(store.tags().await?, ["latest"]);
/// # Ok(()) }
/// ```
///
/// # Errors
/// - [`ErrorKind::InvalidInput`] for a tag that the store rejects, before the first request.
/// - The errors of the store. Tags that were written before the first error stay.
pub async fn tag(
    store: impl Store + 'static,
    reference: &str,
    tags: &[String],
    concurrency: impl Into<Concurrency>,
    listener: impl Listener + 'static,
) -> Result<Descriptor> {
    let store: Arc<dyn Store> = Arc::new(store);
    let listener: Arc<dyn Listener> = Arc::new(listener);
    // All tags are checked before the first request, so that an invalid one leaves no other tag behind.
    for tag in tags {
        store.check_tag(tag).map_err(|error| match tags.len() {
            1 => error,
            _ => error.context(format!("failed to tag {tag}")),
        })?;
    }
    let manifest = fetch_manifest(Arc::clone(&store), reference).await?;
    listener.step(Step::Tagging(manifest.descriptor()));
    write_tags(&*store, &manifest, tags, concurrency.into(), &*listener).await?;
    Ok(manifest.descriptor().clone())
}

/// Returns an error if the target rejects one of `tags`. A verb calls this before its first request, so that an invalid
/// tag does not leave an artifact without its tag.
pub(crate) fn check_tags<T: Target + ?Sized>(
    target: &T,
    tags: impl IntoIterator<Item: AsRef<str>>,
) -> Result<()> {
    for tag in tags {
        target.check_tag(tag.as_ref()).map_err(|error| error.on(Side::Destination))?;
    }
    Ok(())
}

/// Adds `tags` to a manifest that `target` has, and reports each tag when it is written.
pub(crate) async fn write_tags<T: Target + ?Sized>(
    target: &T,
    manifest: &Content,
    tags: &[String],
    concurrency: Concurrency,
    listener: &dyn Listener,
) -> Result<()> {
    let writes = tags.iter().map(|tag| async move {
        target.push(manifest, PushMode::AddTag(tag)).await?;
        listener.step(Step::Tagged(tag));
        Ok(())
    });
    // Does not keep the order of the tags, so that a slow request does not delay the reports of other tags.
    // Collects the futures first: a stream that holds the closure would not be `Send`.
    stream::iter(writes.collect::<Vec<_>>())
        .buffer_unordered(concurrency.get_or(REQUESTS))
        .try_collect()
        .await
}

/// The default [`Concurrency`] of requests that the copy engine does not schedule, as in the Go tool.
pub(crate) const REQUESTS: usize = 5;

/// Removes `tag` and returns the manifest that it named. The manifest keeps its digest and its other tags.
///
/// # Errors
/// - [`ErrorKind::NotFound`] if the tag does not exist.
/// - [`ErrorKind::Unsupported`] if the store cannot remove a tag without its manifest.
/// - [`ErrorKind::InvalidInput`] for a digest.
pub async fn untag(store: impl Store + 'static, tag: &str) -> Result<Descriptor> {
    let store: Arc<dyn Store> = Arc::new(store);
    if tag.parse::<Digest>().is_ok() {
        return Err(Error::new(ErrorKind::InvalidInput, format!("{tag} is a digest, not a tag")));
    }
    check_tags(&*store, [tag])?;
    // Reads the digest first: the tag does not name the manifest any more after the removal.
    let node = store.resolve(tag).await?;
    store.delete(DeleteTarget::Tag(tag)).await?;
    Ok(node)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Artifact, CopyOptions, Memory, PushOptions, Quiet, copy, push};

    /// Compiles only if the futures are `Send`.
    #[tokio::test]
    async fn futures_are_send() {
        fn assert_send<T: Future + Send>(future: T) -> T {
            future
        }
        let store = Arc::new(Memory::new());
        let (artifact, options) = (Artifact::new("a/b"), PushOptions::default());
        assert_send(push(store.clone(), Some("v1"), artifact, options, Quiet)).await.unwrap();
        assert_send(tag(store.clone(), "v1", &["v2".to_owned()], 0, Arc::new(Quiet))).await.unwrap();
        let options = CopyOptions { tags: vec!["v3".to_owned()], recursive: true, ..CopyOptions::default() };
        assert_send(copy(store.clone(), "v2", store, options, Arc::new(Quiet))).await.unwrap();
    }
}
