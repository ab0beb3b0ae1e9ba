//! Marks errors of the source side of a copy.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use oras_spec::Descriptor;
use oras_store::{ByteStream, Origin, Result, Side, Source};

/// Marks every error of the inner source with [`Side::Source`], including errors within a stream, so that a failed push
/// reports the side that failed.
pub(crate) struct SourceSide(pub(crate) Arc<dyn Source>);

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Source for SourceSide {
    async fn resolve(&self, reference: &str) -> Result<Descriptor> {
        self.0.resolve(reference).await.map_err(|error| error.on(Side::Source))
    }

    async fn resolve_with_bytes(&self, reference: &str) -> Result<(Descriptor, Option<Bytes>)> {
        self.0.resolve_with_bytes(reference).await.map_err(|error| error.on(Side::Source))
    }

    async fn fetch(&self, descriptor: &Descriptor, range: Range<u64>) -> Result<ByteStream> {
        let stream = self.0.fetch(descriptor, range).await.map_err(|error| error.on(Side::Source))?;
        // The push reads this stream. Without the mark, its error would look like an error of the destination.
        Ok(stream.map_err(|error| error.on(Side::Source)).boxed())
    }

    fn origin(&self, descriptor: &Descriptor) -> Origin {
        self.0.origin(descriptor)
    }
}
