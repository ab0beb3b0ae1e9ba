//! A store for dry runs, which reads from another store and writes nothing.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt;
use futures::stream::BoxStream;
use oras_spec::{Descriptor, Digest, Hasher, MediaType};
use oras_store::{
    ByteStream, Content, DeleteTarget, Error, ErrorKind, Ingest, IngestOptions, IngestTarget, Origin,
    PushMode, Pushed, ReadStore, Result, Source, Store, Target, UnhashedContent, Written,
};

/// Wraps `store` so that reads go to it and writes change nothing.
///
/// An operation on the wrapper reports its usual steps and returns its usual result. Pushed content counts as copied,
/// and is not read unless its digest is unknown.
///
/// ```
/// use oras::{Artifact, Memory, dry_run};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> oras::store::Result<()> {
/// let store = Memory::new();
/// let pushed = Artifact::new("application/vnd.me").push(&dry_run(store.clone()), Some("v1")).await?;
/// println!("would push {}", pushed.root.digest);
/// assert!(store.tags().await?.is_empty());
/// # Ok(()) }
/// ```
pub fn dry_run(store: impl Store + 'static) -> Arc<dyn Store> {
    Arc::new(DryRun(Arc::new(store)))
}

struct DryRun(Arc<dyn Store>);

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Source for DryRun {
    async fn resolve(&self, reference: &str) -> Result<Descriptor> {
        self.0.resolve(reference).await
    }

    async fn resolve_with_bytes(&self, reference: &str) -> Result<(Descriptor, Option<Bytes>)> {
        self.0.resolve_with_bytes(reference).await
    }

    async fn fetch(&self, descriptor: &Descriptor, range: Range<u64>) -> Result<ByteStream> {
        self.0.fetch(descriptor, range).await
    }

    fn origin(&self, descriptor: &Descriptor) -> Origin {
        self.0.origin(descriptor)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Target for DryRun {
    async fn exists(&self, descriptor: &Descriptor) -> Result<bool> {
        self.0.exists(descriptor).await
    }

    async fn push(&self, content: &Content, mode: PushMode<'_>) -> Result<Pushed> {
        if let PushMode::Tagged(tag) | PushMode::AddTag(tag) = mode {
            // A dry run must find an invalid tag, although it writes none.
            self.0.check_tag(tag)?;
        }
        let node = content.descriptor();
        let exists = !node.media_type.is_manifest() && self.0.exists(node).await?;
        Ok(if exists { Pushed::Existed } else { Pushed::Copied })
    }

    async fn sync(&self) -> Result<()> {
        Ok(())
    }

    async fn tagged(&self, tag: &str) -> Option<Digest> {
        self.0.tagged(tag).await
    }

    fn check_tag(&self, tag: &str) -> Result<()> {
        self.0.check_tag(tag)
    }
}

/// Hashes the written bytes and discards them. The digest is part of the result of an operation.
struct HashingIngest {
    media_type: MediaType,
    hasher: Hasher,
    written: u64,
}

#[async_trait]
impl Ingest for HashingIngest {
    async fn write(&mut self, chunks: Vec<Bytes>) -> Result<()> {
        for chunk in chunks {
            self.hasher.update(&chunk);
            self.written += chunk.len() as u64;
        }
        Ok(())
    }

    fn pause(&mut self) -> Written {
        Written { size: self.written, read_back: None }
    }

    async fn commit(self: Box<Self>, expected: Option<&Digest>) -> Result<Descriptor> {
        let digest = self.hasher.finish();
        match expected.filter(|expected| **expected != digest) {
            Some(expected) => {
                let message = format!("mismatched digest: expected {expected}, got {digest}");
                Err(Error::new(ErrorKind::DigestMismatch, message))
            }
            None => Ok(Descriptor::new(self.media_type, digest, self.written)),
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl IngestTarget for DryRun {
    async fn begin(&self, options: IngestOptions<'_>) -> Result<Box<dyn Ingest>> {
        let IngestOptions { media_type, algorithm, .. } = options;
        Ok(Box::new(HashingIngest { media_type, hasher: Hasher::new(algorithm), written: 0 }))
    }

    /// Hashes the content, and reports it as existing if the store has it.
    async fn ingest(&self, content: &UnhashedContent) -> Result<(Descriptor, Pushed)> {
        let mut ingest = self.begin(IngestOptions::new(content.media_type.clone())).await?;
        let mut stream = content.read(0).await?;
        while let Some(chunk) = stream.try_next().await? {
            ingest.write(vec![chunk]).await?;
        }
        // The digest is known only now, so the check for existing content comes after the read.
        let node = ingest.commit(None).await?;
        let exists = self.0.exists(&node).await?;
        Ok((node, if exists { Pushed::Existed } else { Pushed::Copied }))
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ReadStore for DryRun {
    async fn predecessors(
        &self,
        node: &Descriptor,
        artifact_type: Option<&MediaType>,
    ) -> Result<Vec<Descriptor>> {
        self.0.predecessors(node, artifact_type).await
    }

    fn tags_after<'a>(&'a self, last: Option<&'a str>) -> BoxStream<'a, Result<String>> {
        self.0.tags_after(last)
    }

    fn tagged_nodes(&self) -> BoxStream<'_, Result<(String, Descriptor)>> {
        self.0.tagged_nodes()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Store for DryRun {
    /// Deletes nothing. Returns an error if the content or tag does not exist, like a store.
    async fn delete(&self, target: DeleteTarget<'_>) -> Result<()> {
        let found = match target {
            DeleteTarget::Content(descriptor) => self.0.resolve(&descriptor.digest.to_string()).await,
            DeleteTarget::Tag(tag) => self.0.resolve(tag).await,
        };
        found.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use oras_memory::Memory;

    use super::*;

    #[tokio::test]
    async fn dry_run_changes_nothing() {
        let memory = Arc::new(Memory::new());
        let index = Content::of(MediaType::IMAGE_INDEX, r#"{"schemaVersion":2,"manifests":[]}"#);
        let dry = dry_run(memory.clone());
        assert_eq!(dry.push(&index, PushMode::Untagged).await.unwrap(), Pushed::Copied);
        dry.push(&index, PushMode::Tagged("v1")).await.unwrap();
        assert!(memory.resolve("v1").await.is_err());
        memory.push(&index, PushMode::Tagged("v1")).await.unwrap();
        dry.delete(DeleteTarget::Content(index.descriptor())).await.unwrap();
        assert!(memory.exists(index.descriptor()).await.unwrap());
        assert!(dry.exists(index.descriptor()).await.unwrap());
    }
}
