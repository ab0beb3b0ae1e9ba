//! A source with a cache of its content.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use oras_layout::Layout;
use oras_spec::{Descriptor, Digest};
use oras_store::{ByteStream, Ingest, IngestOptions, IngestTarget, Origin, Result, Source};
use parking_lot::Mutex;

/// A source that caches content in an OCI layout. Use it to read the same artifacts of a registry often.
///
/// References are always resolved by the inner source, because a tag may change. Only content is cached, by its digest.
/// Cached content is verified before its first byte is returned; damaged content is read from the inner source and
/// replaced. A cache that cannot be written is ignored and never causes an error. Several processes may share a cache.
///
/// A cache with a [size limit](oras_layout::LayoutOptions::size_limit) records the use of its content, and does not cache
/// content above its limit.
///
/// ```
/// use std::sync::Arc;
///
/// use oras::store::{Content, Source};
/// use oras::{Artifact, CachedSource, Layout, LayoutOptions, Memory};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> oras::store::Result<()> {
/// # let directory = tempfile::tempdir().unwrap();
/// // In a real program, `source` is a repository of a registry.
/// let source = Memory::new();
/// Artifact::new("application/vnd.me").layer("text/plain", "hello\n").push(&source, Some("v1")).await?;
///
/// let options = LayoutOptions::default().size_limit(1 << 30);
/// let cache = Layout::open_or_create_with(directory.path().join("cache"), options).await?;
/// let cached = Arc::new(CachedSource::new(Arc::new(source), cache));
/// let root = cached.resolve("v1").await?;
/// let manifest = Content::from_source(cached, root).manifest(1 << 20).await?;
/// assert_eq!(manifest.layers()[0].size, 6);
/// # Ok(()) }
/// ```
pub struct CachedSource {
    source: Arc<dyn Source>,
    cache: Layout,
    /// The digests of verified content in the cache. Each is hashed once in a process.
    verified: Mutex<HashSet<Digest>>,
}

impl CachedSource {
    /// Adds a cache to `source`. The first write creates the layout if it does not exist.
    pub fn new(source: Arc<dyn Source>, cache: Layout) -> Self {
        Self { source, cache, verified: Mutex::default() }
    }

    /// Returns true if the cache has the content and its bytes match the digest.
    async fn has_verified(&self, descriptor: &Descriptor) -> bool {
        if self.verified.lock().contains(&descriptor.digest) {
            return true;
        }
        // Hashed without the lock: two readers may hash the same content, but neither waits for the other.
        let has = self.cache.has_verified(descriptor).await;
        if has {
            self.verified.lock().insert(descriptor.digest.clone());
        }
        has
    }

    /// Begins a copy of the content in the cache, which replaces damaged content. Returns `None` if the content exceeds
    /// the limit, and if the cache cannot be written, because that must not fail a read.
    async fn begin_copy(&self, descriptor: &Descriptor) -> Option<Box<dyn Ingest>> {
        let fits = self.cache.size_limit().is_none_or(|limit| descriptor.size <= limit);
        let algorithm = descriptor.digest.algorithm().filter(|_| fits)?;
        let options = IngestOptions::new(descriptor.media_type.clone()).algorithm(algorithm);
        self.cache.begin(options).await.ok()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Source for CachedSource {
    async fn resolve(&self, reference: &str) -> Result<Descriptor> {
        self.source.resolve(reference).await
    }

    async fn resolve_with_bytes(&self, reference: &str) -> Result<(Descriptor, Option<Bytes>)> {
        let (descriptor, bytes) = self.source.resolve_with_bytes(reference).await?;
        // The bytes are transferred already, so caching them costs no request. Errors are ignored.
        if let Some(bytes) = &bytes
            && !self.has_verified(&descriptor).await
            && let Some(mut copy) = self.begin_copy(&descriptor).await
            && copy.write(vec![bytes.clone()]).await.is_ok()
        {
            drop(copy.commit(Some(&descriptor.digest)).await);
        }
        Ok((descriptor, bytes))
    }

    async fn fetch(&self, descriptor: &Descriptor, range: Range<u64>) -> Result<ByteStream> {
        if self.has_verified(descriptor).await
            && let Ok(stream) = self.cache.fetch(descriptor, range.clone()).await
        {
            return Ok(stream);
        }
        // Only whole content is cached: a part of it cannot be verified.
        let whole = range == (0..descriptor.size);
        let stream = self.source.fetch(descriptor, range).await?;
        match if whole { self.begin_copy(descriptor).await } else { None } {
            Some(copy) => Ok(cache_while_reading(stream, copy, descriptor.clone())),
            None => Ok(stream),
        }
    }

    /// Returns the origin of the cached file, if the cache has one, so that a target can use the file directly.
    fn origin(&self, descriptor: &Descriptor) -> Origin {
        if self.cache.has_unverified(descriptor) {
            self.cache.origin(descriptor)
        } else {
            self.source.origin(descriptor)
        }
    }
}

/// Returns `stream`, which also writes each chunk to `copy` before it returns the chunk.
///
/// The copy is published with the last chunk. If a write fails or the reader stops early, the copy is dropped.
fn cache_while_reading(stream: ByteStream, copy: Box<dyn Ingest>, descriptor: Descriptor) -> ByteStream {
    type State = (ByteStream, Option<Box<dyn Ingest>>, u64, Descriptor);
    let next = |(mut stream, mut copy, mut read, descriptor): State| async move {
        let item = stream.next().await;
        // A failed write drops the copy, and the reader still receives every chunk.
        if let (Some(Ok(chunk)), Some(mut open)) = (&item, copy.take()) {
            read += chunk.len() as u64;
            copy = open.write(vec![chunk.clone()]).await.is_ok().then_some(open);
        }
        // Publishes the copy before the last chunk is returned, because a reader may stop after the last byte. The
        // commit verifies the digest, so damaged content is never cached. The reader verifies the content itself.
        if let Some(full) = copy.take_if(|_| read >= descriptor.size)
            && read == descriptor.size
        {
            drop(full.commit(Some(&descriptor.digest)).await);
        }
        Some((item?, (stream, copy, read, descriptor)))
    };
    futures::stream::unfold((stream, Some(copy), 0, descriptor), next).boxed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::TryStreamExt;
    use oras_memory::Memory;
    use oras_spec::{ImageManifest, MediaType};
    use oras_store::{Content, ErrorKind, PushMode, Target};

    async fn store_with_artifact() -> (Arc<Memory>, Descriptor, Content) {
        let store = Arc::new(Memory::new());
        let layer = Content::of(MediaType::LAYER_TAR, "hello world\n");
        let config = Content::of(MediaType::EMPTY_JSON, "{}");
        store.push(&layer, PushMode::Untagged).await.unwrap();
        store.push(&config, PushMode::Untagged).await.unwrap();
        let manifest = ImageManifest::new(config.descriptor().clone(), vec![layer.descriptor().clone()]);
        let manifest = Content::of(MediaType::IMAGE_MANIFEST, manifest.to_bytes());
        store.push(&manifest, PushMode::Tagged("v1")).await.unwrap();
        (store, layer.descriptor().clone(), manifest)
    }

    async fn read(source: Arc<dyn Source>, descriptor: &Descriptor) -> Result<Bytes> {
        Content::from_source(source, descriptor.clone()).bytes(1024).await
    }

    fn blob(cache: &Layout, descriptor: &Descriptor) -> std::path::PathBuf {
        cache.path().join("blobs/sha256").join(descriptor.digest.encoded())
    }

    #[tokio::test]
    async fn reads_cached_content_without_the_source() {
        let (store, layer, manifest) = store_with_artifact().await;
        let directory = tempfile::tempdir().unwrap();
        let cache = Layout::open_or_create(directory.path().join("cache")).await.unwrap();
        let cold = Arc::new(CachedSource::new(store.clone(), cache.clone()));
        let (node, _) = cold.resolve_with_bytes("v1").await.unwrap();
        assert_eq!(node.digest, manifest.descriptor().digest);
        assert_eq!(read(cold.clone(), &node).await.unwrap(), manifest.bytes(1024).await.unwrap());
        assert_eq!(read(cold, &layer).await.unwrap(), "hello world\n");
        assert_eq!(cache.resolve(&node.digest.to_string()).await.unwrap().media_type, node.media_type);

        let warm = Arc::new(CachedSource::new(Arc::new(Memory::new()), cache));
        assert_eq!(read(warm.clone(), &layer).await.unwrap(), "hello world\n");
        let tail: Vec<_> = warm.fetch(&layer, 6..11).await.unwrap().try_collect().await.unwrap();
        assert_eq!(tail.concat(), b"world");
        assert_eq!(warm.resolve("v1").await.unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[tokio::test]
    async fn replaces_damaged_blobs_in_the_cache() {
        let (store, layer, manifest) = store_with_artifact().await;
        let directory = tempfile::tempdir().unwrap();
        let cache = Layout::open_or_create(directory.path()).await.unwrap();
        for damaged in ["hello world!", "hello", "hello world\nx"] {
            let cold = Arc::new(CachedSource::new(store.clone(), cache.clone()));
            crate::fetch_manifest(cold.clone(), "v1").await.unwrap();
            read(cold, &layer).await.unwrap();
            for node in [&layer, manifest.descriptor()] {
                let path = blob(&cache, node);
                std::fs::remove_file(&path).unwrap();
                oras_fs::replace(&path, damaged.as_bytes(), 0o444).unwrap();
            }
            let warm = Arc::new(CachedSource::new(store.clone(), cache.clone()));
            crate::fetch_manifest(warm.clone(), "v1").await.unwrap();
            assert_eq!(read(warm, &layer).await.unwrap(), "hello world\n");
            assert_eq!(std::fs::read(blob(&cache, &layer)).unwrap(), b"hello world\n");
            let cached = std::fs::read(blob(&cache, manifest.descriptor())).unwrap();
            assert_eq!(cached, manifest.bytes(1024).await.unwrap());
        }
    }

    #[tokio::test]
    async fn reads_from_the_source_if_the_cache_is_not_writable() {
        let (store, layer, _) = store_with_artifact().await;
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        oras_fs::replace(&file, b"", 0o644).unwrap();
        let cache = Layout::open_or_create(file.join("cache")).await.unwrap();
        let cached = Arc::new(CachedSource::new(store, cache));
        crate::fetch_manifest(cached.clone(), "v1").await.unwrap();
        assert_eq!(read(cached, &layer).await.unwrap(), "hello world\n");
    }

    #[tokio::test]
    async fn caches_nothing_if_the_reader_stops_early() {
        let (store, layer, _) = store_with_artifact().await;
        let directory = tempfile::tempdir().unwrap();
        let cache = Layout::open_or_create(directory.path()).await.unwrap();
        let cached = Arc::new(CachedSource::new(store, cache.clone()));
        drop(cached.fetch(&layer, 0..layer.size).await.unwrap());
        assert!(!blob(&cache, &layer).exists());
    }
}
