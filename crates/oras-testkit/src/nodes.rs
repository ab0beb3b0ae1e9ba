//! Content to test with.

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use oras_spec::{Descriptor, ImageIndex, ImageManifest, MediaType};
use oras_store::{ByteStream, Content, Source, Target};

/// The artifact type that [`manifest`] gives.
pub const ARTIFACT_TYPE: &str = "application/vnd.test.artifact";

/// Bytes that repeat only after a long while.
pub fn bytes(length: usize) -> Bytes {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}

/// A blob of those bytes.
pub fn blob(bytes: impl Into<Bytes>) -> Content {
    Content::of(MediaType::LAYER_TAR, bytes)
}

/// The empty JSON object, the config of [`manifest`].
pub fn empty() -> Content {
    Content::of(MediaType::EMPTY_JSON, "{}")
}

/// A manifest of those layers, of [`ARTIFACT_TYPE`], that no other `name` gives; its config is [`empty`].
pub fn manifest(name: &str, layers: &[&Content]) -> Content {
    named(name, layers.iter().map(|layer| layer.descriptor().clone()).collect(), ARTIFACT_TYPE, None)
}

/// A manifest of `artifact_type` whose subject is `subject`; it carries the annotation `name` of that value.
pub fn referrer(name: &str, artifact_type: &str, subject: &Content) -> Content {
    named(name, vec![empty().descriptor().clone()], artifact_type, Some(subject.descriptor().plain()))
}

fn named(name: &str, layers: Vec<Descriptor>, artifact_type: &str, subject: Option<Descriptor>) -> Content {
    let mut manifest = ImageManifest::new(empty().descriptor().clone(), layers);
    manifest.artifact_type = Some(artifact_type.into());
    manifest.annotations.insert("name".into(), name.into());
    manifest.subject = subject;
    Content::of(MediaType::IMAGE_MANIFEST, manifest.to_bytes())
}

/// An index of those manifests.
pub fn index(manifests: &[&Content]) -> Content {
    let manifests = manifests.iter().map(|manifest| manifest.descriptor().clone()).collect();
    Content::of(MediaType::IMAGE_INDEX, ImageIndex::new(manifests).to_bytes())
}

/// A stream of those pieces.
pub fn pieces(pieces: impl IntoIterator<Item = Bytes>) -> ByteStream {
    let pieces: Vec<_> = pieces.into_iter().map(Ok).collect();
    stream::iter(pieces).boxed()
}

/// Pushes [`empty`], and then `contents` in order.
pub async fn push_all<T: Target + ?Sized>(target: &T, contents: &[&Content]) {
    target.push(&empty()).await.expect("the empty JSON object is pushed");
    for content in contents {
        target.push(content).await.unwrap_or_else(|error| panic!("{content:?} is pushed: {error:?}"));
    }
}

/// What `source` has under `descriptor`, verified.
pub async fn read(source: &Arc<dyn Source>, descriptor: &Descriptor) -> oras_store::Result<Bytes> {
    Content::from_source(Arc::clone(source), descriptor.clone()).bytes(u64::MAX).await
}

/// All bytes of a stream.
pub async fn collect(stream: ByteStream) -> oras_store::Result<Bytes> {
    let pieces: Vec<Bytes> = stream.try_collect().await?;
    Ok(pieces.concat().into())
}
