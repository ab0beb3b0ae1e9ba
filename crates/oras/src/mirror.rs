//! Copies many tags of a repository to another one.

use oras_copy::Concurrency;
use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use oras_spec::{Descriptor, Platform};
use oras_store::{ReadStore, Result, Side, Target};

use crate::tag_transfer::list_tags;
use crate::{CopyOptions, Listener, copy};

/// The number of tags that are copied at a time. An unchanged tag takes two requests, which overlap with the others.
const TAGS_AT_A_TIME: usize = 4;

/// The options of [`mirror`]. The default copies all tags with all platforms, without referrers.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct MirrorOptions {
    /// The tags to copy. Empty means all tags of the source.
    pub tags: Vec<String>,
    /// Also copies the referrers of the artifacts, such as signatures.
    pub referrers: bool,
    /// Copies only the images for these platforms, see [`CopyOptions::platforms`]. Empty means all.
    pub platforms: Vec<Platform>,
    /// The maximum number of nodes of one artifact that are transferred at a time.
    pub concurrency: Concurrency,
}

impl MirrorOptions {
    oras_store::setters! {
        tags: impl IntoIterator<Item = impl Into<String>> => tags.into_iter().map(Into::into).collect();
        referrers: bool;
        platforms: Vec<Platform>;
        concurrency: impl Into<Concurrency> => concurrency.into();
    }
}

/// A tag that [`mirror`] copied. A program reports those that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MirroredTag {
    /// The tag.
    pub tag: String,
    /// The manifest that the tag names at the target now.
    pub root: Descriptor,
    /// Whether the tag named this manifest before.
    pub is_unchanged: bool,
}

/// Copies tags of `source` with their artifacts to `target`, and returns them in the order in which they were given or
/// listed.
///
/// A tag is written when its artifact is complete. Content and tags that the target already has are skipped, so a
/// second run copies only changes. Tags that only the target has stay.
///
/// ```
/// use oras::{Artifact, Memory, MirrorOptions, Quiet, mirror};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> oras::store::Result<()> {
/// let (from, to) = (Memory::new(), Memory::new());
/// Artifact::new("application/vnd.me").layer("text/plain", "hello\n").push(&from, Some("v1")).await?;
///
/// let copied = mirror(from.clone(), to.clone(), MirrorOptions::default().referrers(true), Quiet).await?;
/// assert_eq!(copied[0].tag, "v1");
/// assert_eq!(to.tags().await?, ["v1"]);
/// # Ok(()) }
/// ```
///
/// # Errors
/// Returns the first error, with the side that failed. Tags that were written before it stay.
pub async fn mirror(
    source: impl ReadStore + 'static,
    target: impl Target + 'static,
    options: MirrorOptions,
    listener: impl Listener + 'static,
) -> Result<Vec<MirroredTag>> {
    let source: Arc<dyn ReadStore> = Arc::new(source);
    let target: Arc<dyn Target> = Arc::new(target);
    let listener: Arc<dyn Listener> = Arc::new(listener);
    let tags = if options.tags.is_empty() {
        list_tags(&*source).await.map_err(|error| error.on(Side::Source))?
    } else {
        options.tags.clone()
    };
    let copies = tags.into_iter().map(|tag| {
        let (source, target, listener) = (Arc::clone(&source), Arc::clone(&target), Arc::clone(&listener));
        mirror_tag(source, target, tag, options.clone(), listener)
    });
    // Collects the futures first: a stream that holds the closure would not be `Send`.
    stream::iter(copies.collect::<Vec<_>>()).buffered(TAGS_AT_A_TIME).try_collect().await
}

async fn mirror_tag(
    source: Arc<dyn ReadStore>,
    target: Arc<dyn Target>,
    tag: String,
    options: MirrorOptions,
    listener: Arc<dyn Listener>,
) -> Result<MirroredTag> {
    let before = target.tagged(&tag).await;
    let copy_options = CopyOptions {
        tags: vec![tag.clone()],
        platforms: options.platforms,
        recursive: options.referrers,
        concurrency: options.concurrency,
        ..CopyOptions::default()
    };
    let root = copy(source, &tag, target, copy_options, listener)
        .await
        .map_err(|error| error.context(format!("failed to copy tag {tag:?}")))?;
    let is_unchanged = before.as_ref() == Some(&root.digest);
    Ok(MirroredTag { tag, root, is_unchanged })
}
