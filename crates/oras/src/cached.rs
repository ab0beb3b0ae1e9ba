//! A source with a cache of what was read from it.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use oras_layout::Layout;
use oras_spec::{Algorithm, Descriptor, Digest};
use oras_store::{ByteStream, Ingest, IngestTarget, Origin, Result, Source};
use parking_lot::Mutex;

/// A source that keeps what is read from it in a layout, and reads from there what it has.
///
/// References are always resolved by the source itself: only content, which has its digest for a name, is cached.
/// What comes from the cache is hashed before the first byte is handed on; what is damaged is read from the source anew
/// and replaced. A cache that can't be written is as good
/// as none, never an error. Any number of processes may share one.
///
/// A [bounded](Layout::bounded) cache is told what is used, and keeps nothing that is larger than it may be as a whole.
pub struct Cached {
    source: Arc<dyn Source>,
    cache: Layout,
    /// What was found to be right in the cache.
    verified: Mutex<HashSet<Digest>>,
}

impl Cached {
    /// `source` with that cache, which is made by the first write if it is not there.
    pub fn new(source: Arc<dyn Source>, cache: Layout) -> Self {
        Self { source, cache, verified: Mutex::default() }
    }

    fn seen(&self, digest: &Digest) -> bool {
        self.verified.lock().contains(digest)
    }

    /// Whether the cache has the content, byte for byte.
    async fn has(&self, descriptor: &Descriptor) -> bool {
        if self.seen(&descriptor.digest) {
            return true;
        }
        let has = self.cache.has_verified(descriptor).await;
        if has {
            self.verified.lock().insert(descriptor.digest.clone());
        }
        has
    }

    /// Under which algorithm the cache names the content, if it is worth keeping.
    fn kept_by(&self, descriptor: &Descriptor) -> Option<Algorithm> {
        let fits = self.cache.size_limit().is_none_or(|limit| descriptor.size <= limit);
        descriptor.digest.algorithm().filter(|_| fits)
    }

    /// Puts the content into the cache, in place of what is there and damaged.
    async fn keep(&self, descriptor: &Descriptor, bytes: Bytes) -> Result<()> {
        let Some(algorithm) = self.kept_by(descriptor) else { return Ok(()) };
        let mut copy = self.cache.begin(descriptor.media_type.clone(), algorithm).await?;
        copy.write(bytes).await?;
        copy.commit(Some(&descriptor.digest)).await.map(drop)
    }
}

#[async_trait]
impl Source for Cached {
    async fn resolve(&self, reference: &str) -> Result<Descriptor> {
        self.source.resolve(reference).await
    }

    async fn resolve_with_bytes(&self, reference: &str) -> Result<(Descriptor, Option<Bytes>)> {
        let (descriptor, bytes) = self.source.resolve_with_bytes(reference).await?;
        if let Some(bytes) = &bytes
            && !self.has(&descriptor).await
        {
            drop(self.keep(&descriptor, bytes.clone()).await);
        }
        Ok((descriptor, bytes))
    }

    async fn fetch(&self, descriptor: &Descriptor, range: Range<u64>) -> Result<ByteStream> {
        if self.has(descriptor).await
            && let Ok(stream) = self.cache.fetch(descriptor, range.clone()).await
        {
            return Ok(stream);
        }
        let whole = range == (0..descriptor.size);
        let stream = self.source.fetch(descriptor, range).await?;
        let Some(algorithm) = self.kept_by(descriptor).filter(|_| whole) else { return Ok(stream) };
        match self.cache.begin(descriptor.media_type.clone(), algorithm).await {
            Ok(copy) => Ok(copied(stream, copy, descriptor.clone())),
            Err(_) => Ok(stream),
        }
    }

    /// The file in the cache, if there is one: a target that knows its digest need not be sent the bytes.
    fn origin(&self, descriptor: &Descriptor) -> Origin {
        if self.cache.has_unverified(descriptor) {
            self.cache.origin(descriptor)
        } else {
            self.source.origin(descriptor)
        }
    }
}

/// `stream`, of which each piece is written to `copy` before it is handed on. The copy is published with the last
/// piece; if it fails, or the reader stops before, it is as if there were none.
fn copied(stream: ByteStream, copy: Box<dyn Ingest>, descriptor: Descriptor) -> ByteStream {
    let next = |(mut stream, mut copy, descriptor): (ByteStream, Option<Box<dyn Ingest>>, Descriptor)| async move {
        let item = stream.next().await;
        if let (Some(Ok(chunk)), Some(mut open)) = (&item, copy.take()) {
            copy = open.write(chunk.clone()).await.is_ok().then_some(open);
        }
        if let Some(full) = copy.take_if(|copy| copy.written() >= descriptor.size)
            && full.written() == descriptor.size
        {
            drop(full.commit(Some(&descriptor.digest)).await);
        }
        Some((item?, (stream, copy, descriptor)))
    };
    futures::stream::unfold((stream, Some(copy), descriptor), next).boxed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::TryStreamExt;
    use oras_memory::Memory;
    use oras_spec::{ImageManifest, MediaType};
    use oras_store::{Content, ErrorKind, Target};

    async fn filled() -> (Arc<Memory>, Descriptor, Content) {
        let store = Arc::new(Memory::new());
        let layer = Content::of(MediaType::LAYER_TAR, "hello world\n");
        let config = Content::of(MediaType::EMPTY_JSON, "{}");
        store.push(&layer).await.unwrap();
        store.push(&config).await.unwrap();
        let manifest = ImageManifest::new(config.descriptor().clone(), vec![layer.descriptor().clone()]);
        let manifest = Content::of(MediaType::IMAGE_MANIFEST, manifest.to_bytes());
        store.tag(&manifest, "v1").await.unwrap();
        (store, layer.descriptor().clone(), manifest)
    }

    async fn read(source: Arc<dyn Source>, descriptor: &Descriptor) -> Result<Bytes> {
        Content::from_source(source, descriptor.clone()).bytes(1024).await
    }

    fn blob(cache: &Layout, descriptor: &Descriptor) -> std::path::PathBuf {
        cache.path().join("blobs/sha256").join(descriptor.digest.encoded())
    }

    #[tokio::test]
    async fn what_was_read_is_read_from_the_cache() {
        let (store, layer, manifest) = filled().await;
        let place = tempfile::tempdir().unwrap();
        let cache = Layout::open_or_create(place.path().join("cache")).await.unwrap();
        let cold = Arc::new(Cached::new(store.clone(), cache.clone()));
        let (node, _) = cold.resolve_with_bytes("v1").await.unwrap();
        assert_eq!(node.digest, manifest.descriptor().digest);
        assert_eq!(read(cold.clone(), &node).await.unwrap(), manifest.bytes(1024).await.unwrap());
        assert_eq!(read(cold, &layer).await.unwrap(), "hello world\n");
        assert_eq!(cache.resolve(&node.digest.to_string()).await.unwrap().media_type, node.media_type);

        let warm = Arc::new(Cached::new(Arc::new(Memory::new()), cache));
        assert_eq!(read(warm.clone(), &layer).await.unwrap(), "hello world\n");
        let tail: Vec<_> = warm.fetch(&layer, 6..11).await.unwrap().try_collect().await.unwrap();
        assert_eq!(tail.concat(), b"world");
        assert_eq!(warm.resolve("v1").await.unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[tokio::test]
    async fn damage_is_noticed_and_mended() {
        let (store, layer, manifest) = filled().await;
        let place = tempfile::tempdir().unwrap();
        let cache = Layout::open_or_create(place.path()).await.unwrap();
        for damaged in ["hello world!", "hello", "hello world\nx"] {
            let cold = Arc::new(Cached::new(store.clone(), cache.clone()));
            crate::fetch_manifest(cold.clone(), "v1").await.unwrap();
            read(cold, &layer).await.unwrap();
            for node in [&layer, manifest.descriptor()] {
                let path = blob(&cache, node);
                std::fs::remove_file(&path).unwrap();
                oras_fs::replace(&path, damaged.as_bytes(), 0o444).unwrap();
            }
            let warm = Arc::new(Cached::new(store.clone(), cache.clone()));
            crate::fetch_manifest(warm.clone(), "v1").await.unwrap();
            assert_eq!(read(warm, &layer).await.unwrap(), "hello world\n");
            assert_eq!(std::fs::read(blob(&cache, &layer)).unwrap(), b"hello world\n");
            let kept = std::fs::read(blob(&cache, manifest.descriptor())).unwrap();
            assert_eq!(kept, manifest.bytes(1024).await.unwrap());
        }
    }

    #[tokio::test]
    async fn a_cache_that_cannot_be_written_is_none() {
        let (store, layer, _) = filled().await;
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("file");
        oras_fs::replace(&file, b"", 0o644).unwrap();
        let cache = Layout::open_or_create(file.join("cache")).await.unwrap();
        let cached = Arc::new(Cached::new(store, cache));
        crate::fetch_manifest(cached.clone(), "v1").await.unwrap();
        assert_eq!(read(cached, &layer).await.unwrap(), "hello world\n");
    }

    #[tokio::test]
    async fn a_reader_that_stops_leaves_nothing() {
        let (store, layer, _) = filled().await;
        let place = tempfile::tempdir().unwrap();
        let cache = Layout::open_or_create(place.path()).await.unwrap();
        let cached = Arc::new(Cached::new(store, cache.clone()));
        drop(cached.fetch(&layer, 0..layer.size).await.unwrap());
        assert!(!blob(&cache, &layer).exists());
    }
}
