//! A store in memory with one defect, which the suite must detect.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use oras_memory::Memory;
use oras_spec::{Descriptor, Digest, MediaType};
use oras_store::{
    ByteStream, Content, DeleteTarget, ErrorKind, Ingest, IngestOptions, IngestTarget, PushMode, Pushed,
    ReadStore, Result, Source, Store, Target, UnhashedContent, Written,
};

/// What a [`Defective`] store does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Defect {
    /// Reports success for bytes that do not match their digest.
    AcceptsCorruptContent,
    /// Returns all bytes for every range.
    IgnoresRange,
    /// Deletes the tag in place of the content.
    LosesTagOnDelete,
    /// Lists all tags, whatever the last one is.
    ListsTagsFromTheBeginning,
    /// Returns all referrers, whatever their type is.
    IgnoresArtifactType,
    /// Deletes the manifest that a moved tag named before.
    ForgetsMovedTag,
    /// Commits an ingest although its digest is not the expected one.
    IgnoresExpectedDigest,
    /// Ingests content of another size.
    AcceptsAnySize,
}

pub(crate) struct Defective {
    memory: Memory,
    defect: Defect,
}

impl Defective {
    pub(crate) fn store(defect: Defect) -> Arc<dyn Store> {
        Arc::new(Self { memory: Memory::new(), defect })
    }
}

#[async_trait]
impl Source for Defective {
    async fn resolve(&self, reference: &str) -> Result<Descriptor> {
        self.memory.resolve(reference).await
    }

    async fn fetch(&self, descriptor: &Descriptor, range: Range<u64>) -> Result<ByteStream> {
        let range = if self.defect == Defect::IgnoresRange { 0..descriptor.size } else { range };
        self.memory.fetch(descriptor, range).await
    }
}

#[async_trait]
impl Target for Defective {
    async fn exists(&self, descriptor: &Descriptor) -> Result<bool> {
        self.memory.exists(descriptor).await
    }

    async fn push(&self, content: &Content, mode: PushMode<'_>) -> Result<Pushed> {
        if let (Defect::ForgetsMovedTag, PushMode::Tagged(tag)) = (self.defect, mode)
            && let Ok(earlier) = self.memory.resolve(tag).await
        {
            self.memory.delete(DeleteTarget::Content(&earlier)).await?;
        }
        match self.memory.push(content, mode).await {
            Err(error)
                if self.defect == Defect::AcceptsCorruptContent
                    && error.kind() == ErrorKind::DigestMismatch =>
            {
                Ok(Pushed::Copied)
            }
            result => result,
        }
    }
}

#[async_trait]
impl ReadStore for Defective {
    async fn predecessors(
        &self,
        node: &Descriptor,
        artifact_type: Option<&MediaType>,
    ) -> Result<Vec<Descriptor>> {
        let artifact_type = artifact_type.filter(|_| self.defect != Defect::IgnoresArtifactType);
        self.memory.predecessors(node, artifact_type).await
    }

    fn tags_after<'a>(&'a self, last: Option<&'a str>) -> BoxStream<'a, Result<String>> {
        self.memory.tags_after(last.filter(|_| self.defect != Defect::ListsTagsFromTheBeginning))
    }
}

#[async_trait]
impl Store for Defective {
    async fn delete(&self, target: DeleteTarget<'_>) -> Result<()> {
        match target {
            DeleteTarget::Content(_) if self.defect == Defect::LosesTagOnDelete => {
                self.memory.delete(DeleteTarget::Tag("v1")).await
            }
            target => self.memory.delete(target).await,
        }
    }
}

#[async_trait]
impl IngestTarget for Defective {
    async fn begin(&self, options: IngestOptions<'_>) -> Result<Box<dyn Ingest>> {
        let ingest = self.memory.begin(options).await?;
        Ok(match self.defect {
            Defect::IgnoresExpectedDigest => Box::new(Uncritical(ingest)),
            _ => ingest,
        })
    }

    async fn ingest(&self, content: &UnhashedContent) -> Result<(Descriptor, Pushed)> {
        if self.defect != Defect::AcceptsAnySize {
            return self.memory.ingest(content).await;
        }
        let mut ingest = self.begin(IngestOptions::new(content.media_type.clone())).await?;
        let chunks = futures::TryStreamExt::try_collect(content.open(0).await?).await?;
        ingest.write(chunks).await?;
        Ok((ingest.commit(None).await?, Pushed::Copied))
    }
}

/// An ingest that does not compare its digest with the expected one.
struct Uncritical(Box<dyn Ingest>);

#[async_trait]
impl Ingest for Uncritical {
    async fn write(&mut self, chunks: Vec<Bytes>) -> Result<()> {
        self.0.write(chunks).await
    }

    fn pause(&mut self) -> Written {
        self.0.pause()
    }

    async fn commit(self: Box<Self>, expected: Option<&Digest>) -> Result<Descriptor> {
        let is_sha256 =
            expected.is_none_or(|digest| digest.algorithm() == Some(oras_spec::Algorithm::Sha256));
        self.0.commit(expected.filter(|_| !is_sha256)).await
    }
}
