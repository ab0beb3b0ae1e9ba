//! Blobs, manifests, indexes and referrers for tests of stores.
//!
//! Use these functions for tests of a store beyond the suite, so that a test names only what it is about.
//!
//! ```
//! use oras_store_suite::nodes;
//!
//! let layer = nodes::blob(nodes::bytes(1000));
//! let image = nodes::manifest("image", &[&layer]);
//! let signature = nodes::referrer("signature", "application/vnd.example.signature", &image);
//! assert_eq!(layer.descriptor().size, 1000);
//! assert_ne!(image.descriptor().digest, signature.descriptor().digest);
//! ```

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use oras_spec::{Descriptor, ImageIndex, ImageManifest, MediaType};
use oras_store::{ByteStream, Content, PushMode, Source, Target};

/// The artifact type of the manifests that [`manifest`] returns.
pub const ARTIFACT_TYPE: &str = "application/vnd.test.artifact";

/// Returns `length` incompressible bytes, the same at every call.
pub fn bytes(length: usize) -> Bytes {
    // xorshift64 (Marsaglia 2003) with a fixed seed.
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes.into()
}

/// Returns a blob of the given bytes.
pub fn blob(bytes: impl Into<Bytes>) -> Content {
    Content::of(MediaType::LAYER_TAR, bytes)
}

/// Returns the empty JSON object, which is the config of [`manifest`].
pub fn empty() -> Content {
    Content::of(MediaType::EMPTY_JSON, "{}")
}

/// Returns a manifest of `layers`, unique for each `name`, of type [`ARTIFACT_TYPE`] and with the config [`empty`].
pub fn manifest(name: &str, layers: &[&Content]) -> Content {
    named(name, layers.iter().map(|layer| layer.descriptor().clone()).collect(), ARTIFACT_TYPE, None)
}

/// Returns a manifest of `artifact_type` that refers to `subject`, with the annotation `name`.
pub fn referrer(name: &str, artifact_type: &str, subject: &Content) -> Content {
    named(name, vec![empty().descriptor().clone()], artifact_type, Some(subject.descriptor().plain()))
}

fn named(name: &str, layers: Vec<Descriptor>, artifact_type: &str, subject: Option<Descriptor>) -> Content {
    let mut manifest = ImageManifest::new(empty().descriptor().clone(), layers);
    manifest.artifact_type = Some(MediaType::new(artifact_type));
    manifest.annotations.insert("name".into(), name.into());
    manifest.subject = subject;
    Content::of(MediaType::IMAGE_MANIFEST, manifest.to_bytes())
}

/// Returns an index of `manifests`.
pub fn index(manifests: &[&Content]) -> Content {
    let manifests = manifests.iter().map(|manifest| manifest.descriptor().clone()).collect();
    Content::of(MediaType::IMAGE_INDEX, ImageIndex::new(manifests).to_bytes())
}

/// Returns a stream of `pieces`.
pub fn pieces(pieces: impl IntoIterator<Item = Bytes>) -> ByteStream {
    let pieces: Vec<_> = pieces.into_iter().map(Ok).collect();
    stream::iter(pieces).boxed()
}

/// Pushes [`empty`], and then `contents` in order.
///
/// # Panics
/// If a push fails.
pub async fn push_all<T: Target + ?Sized>(target: &T, contents: &[&Content]) {
    target.push(&empty(), PushMode::Untagged).await.expect("the empty JSON object is pushed");
    for content in contents {
        target
            .push(content, PushMode::Untagged)
            .await
            .unwrap_or_else(|error| panic!("{content:?} is pushed: {error:?}"));
    }
}

/// Reads and verifies the content of `descriptor` in `source`.
pub async fn read(source: &Arc<dyn Source>, descriptor: &Descriptor) -> oras_store::Result<Bytes> {
    Content::from_source(Arc::clone(source), descriptor.clone()).bytes(u64::MAX).await
}

/// Collects all bytes of a stream.
pub async fn collect(stream: ByteStream) -> oras_store::Result<Bytes> {
    let pieces: Vec<Bytes> = stream.try_collect().await?;
    Ok(pieces.concat().into())
}
