//! Tag and untag: more names for a manifest, and fewer.

use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use oras_spec::{Descriptor, Digest};
use oras_store::{Content, Error, ErrorKind, Result, Side, Store, Target};

use crate::resolve::fetch_manifest;
use crate::{Listener, Step};

/// Gives the manifest that `reference` names in `store` the tags `tags`, `concurrency` at a time.
///
/// # Errors
/// `InvalidInput` for a tag that the store does not take, before any request; then those of the store: tags written before
/// the first error stay.
pub async fn tag(
    store: Arc<dyn Store>,
    reference: &str,
    tags: &[String],
    concurrency: usize,
    listener: Arc<dyn Listener>,
) -> Result<Descriptor> {
    for tag in tags {
        store.check_tag(tag).map_err(|error| match tags.len() {
            1 => error,
            _ => error.context(format!("failed to tag {tag}")),
        })?;
    }
    let manifest = fetch_manifest(Arc::clone(&store) as _, reference).await?;
    listener.step(Step::Tagging(manifest.descriptor()));
    write(&*store, &manifest, tags, concurrency, &*listener).await?;
    Ok(manifest.descriptor().clone())
}

/// Checks all `tags` that a verb is to write before its first request.
pub(crate) fn check<T: Target + ?Sized>(target: &T, tags: impl IntoIterator<Item: AsRef<str>>) -> Result<()> {
    for tag in tags {
        target.check_tag(tag.as_ref()).map_err(|error| error.on(Side::Destination))?;
    }
    Ok(())
}

/// Writes `tags` of a manifest that `target` has, telling each when it is there.
pub(crate) async fn write<T: Target + ?Sized>(
    target: &T,
    manifest: &Content,
    tags: &[String],
    concurrency: usize,
    listener: &dyn Listener,
) -> Result<()> {
    let concurrency = if concurrency == 0 { 5 } else { concurrency };
    let writes = tags.iter().map(|tag| async move {
        target.add_tag(manifest, tag).await?;
        listener.step(Step::Tagged(tag));
        Ok(())
    });
    // Made before: a stream that held the closure which makes them could not be sent to another thread.
    stream::iter(writes.collect::<Vec<_>>()).buffer_unordered(concurrency).try_collect().await
}

/// Removes `tag` from `store` and nothing else; what it named. The manifest stays under its digest and all other tags.
///
/// # Errors
/// `NotFound` when there is no such tag, `Unsupported` when the store can't remove a tag alone.
pub async fn untag(store: Arc<dyn Store>, tag: &str) -> Result<Descriptor> {
    if tag.parse::<Digest>().is_ok() {
        return Err(Error::new(ErrorKind::InvalidInput, format!("{tag} is a digest, not a tag")));
    }
    check(&*store, [tag])?;
    let node = store.resolve(tag).await?;
    store.untag(tag).await?;
    Ok(node)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CopyOptions, Memory, PushOptions, Quiet, copy, push};

    /// Compiles only if the futures may be run on any thread.
    #[tokio::test]
    async fn futures_can_be_sent() {
        fn sent<T: Future + Send>(future: T) -> T {
            future
        }
        let store = Arc::new(Memory::new());
        let options = PushOptions::artifact("a/b");
        sent(push(store.clone(), Some("v1"), options, Arc::new(Quiet))).await.unwrap();
        sent(tag(store.clone(), "v1", &["v2".to_owned()], 0, Arc::new(Quiet))).await.unwrap();
        let options = CopyOptions { tags: vec!["v3".to_owned()], recursive: true, ..CopyOptions::default() };
        sent(copy(store.clone(), "v2", store, options, Arc::new(Quiet))).await.unwrap();
    }
}
