//! The operations that a layout directory and a layout archive share: resolving, fetching, referrers and tags.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use oras_fs::{BlockingQueue, blocking};
use oras_spec::{Descriptor, Digest, MediaType};
use oras_store::{ByteStream, Error, MAX_MANIFEST_SIZE, Result};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::blob::{Blob, BlobReader, read_opened};
use crate::disk::blobs;
use crate::graph::Graph;
use crate::index::{Index, TagQuery};
use crate::not_found::reference_not_found;

/// Access to the files of a layout. All methods may block.
pub(crate) trait LayoutFiles: Send + Sync + 'static {
    /// Returns the path of the directory or archive.
    fn path(&self) -> &Path;
    /// Returns the current `index.json`.
    fn index(&self) -> Result<Arc<Index>>;
    /// Returns the entry with the name.
    fn tagged(&self, name: &str, tag_rule: TagRule) -> Result<Option<Descriptor>> {
        let index = self.index()?;
        match tag_rule {
            TagRule::AnyName => index.entry_named(name),
            TagRule::Repository => index.repository_tag(name),
        }
    }
    /// Returns the first entry of the digest, without its tag.
    fn find(&self, digest: &Digest) -> Result<Option<Descriptor>> {
        Ok(self.index()?.find(digest))
    }
    /// Returns the graph of the manifests that the index reaches.
    fn graph(&self) -> Result<Arc<Graph>>;
    /// Marks a blob as in use if the layout records uses; then returns false if the blob is missing.
    fn claim(&self, _digest: &Digest) -> Result<bool> {
        Ok(true)
    }
    /// Opens a blob.
    fn open(&self, digest: &Digest) -> Result<Blob>;
    /// Returns a function for reading many blobs.
    fn reader(&self) -> Box<BlobReader<'_>> {
        Box::new(|node| read_opened(self.open(&node.digest), node.size))
    }
    /// Returns the queue that opens blobs and reads small ones.
    fn queue(&self) -> &BlockingQueue;
}

/// The rule that decides which names of entries are tags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum TagRule {
    /// Every name is a tag.
    #[default]
    AnyName,
    /// Names are valid tags, or full references that contain one, see
    /// [`repository_tags`](crate::index::Index::repository_tags).
    Repository,
}

/// Resolves a tag or a digest. The media type of a blob that is not a known manifest is `application/octet-stream`.
///
/// # Errors
/// `NotFound`; `InvalidContent` for a malformed index; `Io`.
pub(crate) async fn resolve<F: LayoutFiles>(
    files: &Arc<F>,
    reference: &str,
    tag_rule: TagRule,
) -> Result<Descriptor> {
    let (files, reference) = (Arc::clone(files), reference.to_owned());
    blocking(move || {
        if let Some(descriptor) = files.tagged(&reference, tag_rule)? {
            return Ok(descriptor);
        }
        let not_found = || reference_not_found(files.path(), &reference);
        let digest = reference.parse::<Digest>().map_err(|_| not_found())?;
        // The blob is marked as in use before the lookup, so that a concurrent garbage collection does not delete it.
        if !files.claim(&digest)? {
            return Err(not_found());
        }
        if let Some(descriptor) = files.find(&digest)? {
            return Ok(descriptor);
        }
        let blob = files.open(&digest)?;
        let size = blob.size;
        // The graph is built only for the few blobs that can be manifests, because that reads all manifests.
        if may_be_manifest(&blob)?
            && let Some(descriptor) = files.graph()?.unlisted(&digest)
        {
            return Ok(descriptor);
        }
        // The digest is not a known manifest, so it is a blob. A layout does not record the media types of blobs.
        Ok(Descriptor::new(MediaType::OCTET_STREAM, digest, size))
    })
    .await
}

/// Returns true if the text of a blob may be a manifest: a JSON object with a field that each kind of manifest has.
fn may_be_manifest(blob: &Blob) -> Result<bool> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Glance {
        schema_version: Option<IgnoredAny>,
        manifests: Option<IgnoredAny>,
        layers: Option<IgnoredAny>,
        blobs: Option<IgnoredAny>,
    }
    if blob.size > MAX_MANIFEST_SIZE {
        return Ok(false);
    }
    let Some(bytes) = blob.bytes(blob.size)?.filter(|bytes| bytes.trim_ascii_start().starts_with(b"{"))
    else {
        return Ok(false);
    };
    // The full parser decides on a text that cannot be deserialized here, for example because of duplicate fields.
    Ok(serde_json::from_slice::<Glance>(&bytes).map_or(
        true,
        |Glance { schema_version, manifests, layers, blobs }| {
            [schema_version, manifests, layers, blobs].iter().any(Option::is_some)
        },
    ))
}

/// Streams the unverified bytes of a blob in `range`.
///
/// # Errors
/// `NotFound`; `Io`.
pub(crate) async fn fetch<F: LayoutFiles>(
    files: &Arc<F>,
    descriptor: &Descriptor,
    range: Range<u64>,
) -> Result<ByteStream> {
    let name = blobs::path(files.path(), &descriptor.digest).display().to_string();
    let (opened, digest) = (Arc::clone(files), descriptor.digest.clone());
    let is_whole = range == (0..descriptor.size);
    // The thread that opens a small blob also reads it, which saves a second hand-over to another thread.
    let open = move || {
        let blob = opened.open(&digest)?;
        let bytes =
            if is_whole && blob.size <= oras_fs::CHUNK as u64 { blob.bytes(blob.size)? } else { None };
        Ok((blob, bytes))
    };
    let (blob, bytes) = files.queue().run(open).await?;
    if let Some(bytes) = bytes {
        return Ok(stream::iter((!bytes.is_empty()).then_some(Ok(bytes))).boxed());
    }
    let Blob { file, start, size } = blob;
    // Reads one byte more than the size in the descriptor, so that the verifier detects a blob that is too long.
    let end = if is_whole { range.end.saturating_add(1) } else { range.end };
    let offset_in_file = |offset: u64| start.saturating_add(offset.min(size));
    Ok(oras_fs::read(file, offset_in_file(range.start)..offset_in_file(end), name))
}

/// Returns the manifests whose subject is `node`. With `artifact_type`, returns only those of that type.
pub(crate) async fn predecessors<F: LayoutFiles>(
    files: &Arc<F>,
    node: &Descriptor,
    artifact_type: Option<&MediaType>,
) -> Result<Vec<Descriptor>> {
    let (files, digest) = (Arc::clone(files), node.digest.clone());
    let mut referrers = blocking(move || files.graph()?.referrers(&*files.reader(), &digest)).await?;
    referrers.retain(|referrer| artifact_type.is_none() || referrer.artifact_type.as_ref() == artifact_type);
    Ok(referrers)
}

/// Streams the tags after `last` in sorted order.
pub(crate) fn tags<'a, F: LayoutFiles>(
    files: &Arc<F>,
    last: Option<&'a str>,
    tag_rule: TagRule,
) -> BoxStream<'a, Result<String>> {
    let files = Arc::clone(files);
    let after_last = async move {
        let index = blocking(move || files.index()).await?;
        let mut tags = match tag_rule {
            TagRule::AnyName => index.tags(),
            TagRule::Repository => index.repository_tags(),
        };
        tags.retain(|tag| last.is_none_or(|last| tag.as_str() > last));
        Ok::<_, Error>(stream::iter(tags.into_iter().map(Ok)))
    };
    stream::once(after_last).try_flatten().boxed()
}

/// Streams the tags in sorted order, each with its manifest.
pub(crate) fn tagged_nodes<'a, F: LayoutFiles>(
    files: &Arc<F>,
    tag_rule: TagRule,
) -> BoxStream<'a, Result<(String, Descriptor)>> {
    let files = Arc::clone(files);
    let all = async move {
        let nodes = blocking(move || {
            let index = files.index()?;
            Ok(match tag_rule {
                TagRule::AnyName => index.nodes_by_tag(),
                TagRule::Repository => index.nodes_by_repository_tag(),
            })
        });
        Ok::<_, Error>(stream::iter(nodes.await?.into_iter().map(Ok)))
    };
    stream::once(all).try_flatten().boxed()
}
