//! The traits of a store for `Arc<T>`, so that a function that takes `impl Store` also takes `Arc<dyn Store>`.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use oras_spec::{Descriptor, Digest, MediaType};

use crate::{
    ByteStream, Content, DeleteTarget, Ingest, IngestOptions, IngestTarget, Origin, PushMode, Pushed,
    ReadStore, Result, Source, Store, Target, UnhashedContent,
};

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<T: Source + ?Sized> Source for Arc<T> {
    async fn resolve(&self, reference: &str) -> Result<Descriptor> {
        (**self).resolve(reference).await
    }

    async fn resolve_with_bytes(&self, reference: &str) -> Result<(Descriptor, Option<Bytes>)> {
        (**self).resolve_with_bytes(reference).await
    }

    async fn fetch(&self, descriptor: &Descriptor, range: Range<u64>) -> Result<ByteStream> {
        (**self).fetch(descriptor, range).await
    }

    fn origin(&self, descriptor: &Descriptor) -> Origin {
        (**self).origin(descriptor)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<T: ReadStore + ?Sized> ReadStore for Arc<T> {
    async fn predecessors(
        &self,
        node: &Descriptor,
        artifact_type: Option<&MediaType>,
    ) -> Result<Vec<Descriptor>> {
        (**self).predecessors(node, artifact_type).await
    }

    fn tags_after<'a>(&'a self, last: Option<&'a str>) -> BoxStream<'a, Result<String>> {
        (**self).tags_after(last)
    }

    fn tagged_nodes(&self) -> BoxStream<'_, Result<(String, Descriptor)>> {
        (**self).tagged_nodes()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<T: Target + ?Sized> Target for Arc<T> {
    async fn exists(&self, descriptor: &Descriptor) -> Result<bool> {
        (**self).exists(descriptor).await
    }

    async fn push(&self, content: &Content, mode: PushMode<'_>) -> Result<Pushed> {
        (**self).push(content, mode).await
    }

    async fn sync(&self) -> Result<()> {
        (**self).sync().await
    }

    async fn tagged(&self, tag: &str) -> Option<Digest> {
        (**self).tagged(tag).await
    }

    fn check_tag(&self, tag: &str) -> Result<()> {
        (**self).check_tag(tag)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<T: IngestTarget + ?Sized> IngestTarget for Arc<T> {
    async fn begin(&self, options: IngestOptions<'_>) -> Result<Box<dyn Ingest>> {
        (**self).begin(options).await
    }

    async fn ingest(&self, content: &UnhashedContent) -> Result<(Descriptor, Pushed)> {
        (**self).ingest(content).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<T: Store + ?Sized> Store for Arc<T> {
    async fn delete(&self, target: DeleteTarget<'_>) -> Result<()> {
        (**self).delete(target).await
    }
}
