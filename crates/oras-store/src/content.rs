//! Content: bytes that a descriptor names, wherever they are.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt};
use oras_spec::{Descriptor, Manifest, MediaType};

use crate::verify::verified;
use crate::{ByteStream, Error, Kind, Origin, Result, Source};

/// Told the number of bytes that have just passed, on whatever task or thread they pass: must be quick.
pub type Progress = Arc<dyn Fn(u64) + Send + Sync>;

/// The bytes of one descriptor: held, or to be fetched; cheap to clone.
///
/// Content can be opened any number of times and from any offset, so that a request body can be replayed or
/// resumed, except content made by [`Content::once`]. What [`Content::reader`] and [`Content::bytes`] give is
/// always verified against size and digest.
#[derive(Clone)]
pub struct Content {
    descriptor: Arc<Descriptor>,
    body: Body,
    /// Where embedded bytes also are.
    home: Option<Arc<dyn Source>>,
    progress: Option<Progress>,
}

#[derive(Clone)]
enum Body {
    /// Verified when the content was made.
    Bytes(Bytes),
    Node(Arc<dyn Source>),
    Once(Arc<Mutex<Option<ByteStream>>>),
}

impl Content {
    /// `bytes`, which must be those that `descriptor` names.
    ///
    /// # Errors
    /// [`Kind::SizeMismatch`], [`Kind::DigestMismatch`], or [`Kind::Unsupported`] for an unknown algorithm.
    pub fn from_bytes(descriptor: Descriptor, bytes: impl Into<Bytes>) -> Result<Self> {
        let bytes = bytes.into();
        let mut verifier = crate::Verifier::new(&descriptor)?;
        verifier.update(&bytes)?;
        verifier.finish()?;
        Ok(Self { descriptor: Arc::new(descriptor), body: Body::Bytes(bytes), home: None, progress: None })
    }

    /// `bytes` as content of `media_type`, named by their SHA-256 digest.
    pub fn of(media_type: MediaType, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let descriptor = Arc::new(Descriptor::of(media_type, &bytes));
        Self { descriptor, body: Body::Bytes(bytes), home: None, progress: None }
    }

    /// The node that `descriptor` names in `source`. Content embedded in the descriptor is used if it is right.
    pub fn from_source(source: Arc<dyn Source>, descriptor: Descriptor) -> Self {
        let (body, home) = match descriptor.embedded() {
            Some(data) => (Body::Bytes(data.clone()), Some(source)),
            None => (Body::Node(source), None),
        };
        Self { descriptor: Arc::new(descriptor), body, home, progress: None }
    }

    /// A stream that can be read only once, such as standard input; a second opening is an error.
    pub fn once(descriptor: Descriptor, stream: ByteStream) -> Self {
        let body = Body::Once(Arc::new(Mutex::new(Some(stream))));
        Self { descriptor: Arc::new(descriptor), body, home: None, progress: None }
    }

    /// The same content under a descriptor that says more about it: annotations, artifact type, platform.
    ///
    /// Digest and size stay those of the content.
    #[must_use]
    pub fn described_as(mut self, mut descriptor: Descriptor) -> Self {
        descriptor.digest = self.descriptor.digest.clone();
        descriptor.size = self.descriptor.size;
        self.descriptor = Arc::new(descriptor);
        self
    }

    /// The same content, reporting the bytes that pass to `progress`.
    #[must_use]
    pub fn with_progress(mut self, progress: Progress) -> Self {
        self.progress = Some(progress);
        self
    }

    /// Tells that `bytes` bytes need not pass any more: whoever reads has them.
    pub fn passed(&self, bytes: u64) {
        if let Some(progress) = self.progress.as_ref().filter(|_| bytes > 0) {
            progress(bytes);
        }
    }

    /// What the content is.
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// Where the bytes also live.
    pub fn origin(&self) -> Origin {
        match (&self.body, &self.home) {
            (Body::Node(source), _) | (_, Some(source)) => source.origin(&self.descriptor),
            (Body::Bytes(_) | Body::Once(_), None) => Origin::Opaque,
        }
    }

    /// The bytes, if they are in memory already.
    pub fn in_memory(&self) -> Option<&Bytes> {
        match &self.body {
            Body::Bytes(bytes) => Some(bytes),
            Body::Node(_) | Body::Once(_) => None,
        }
    }

    /// Whether the content can be opened again after it was read.
    pub fn is_replayable(&self) -> bool {
        !matches!(self.body, Body::Once(_))
    }

    /// A verified stream of all bytes: if they are not the descriptor's, an error comes in place of the end, and
    /// what came before must not be used.
    pub async fn reader(&self) -> Result<ByteStream> {
        verified(&self.descriptor, self.unverified(0..self.descriptor.size).await?)
    }

    /// A stream of the bytes in `range` **that nobody has verified**: for a receiver that checks size and digest
    /// itself, as a registry does with an upload and [`fsio`](crate::fsio) with a file. Reports progress.
    ///
    /// The range must lie within the descriptor's size. A source may send more or fewer bytes than asked.
    pub async fn unverified(&self, range: Range<u64>) -> Result<ByteStream> {
        let stream = match &self.body {
            Body::Bytes(bytes) => {
                let slice =
                    usize::try_from(range.start).and_then(|start| Ok(start..usize::try_from(range.end)?));
                let slice = slice.ok().filter(|slice| slice.start <= slice.end && slice.end <= bytes.len());
                let slice =
                    slice.ok_or_else(|| Error::new(Kind::InvalidInput, "range outside of the content"))?;
                let bytes = bytes.slice(slice);
                futures::stream::iter((!bytes.is_empty()).then_some(Ok(bytes))).boxed()
            }
            Body::Node(source) => source.fetch(&self.descriptor, range).await?,
            Body::Once(stream) => {
                let taken = stream.lock().unwrap_or_else(PoisonError::into_inner).take();
                taken.filter(|_| range.start == 0).ok_or_else(|| {
                    Error::new(Kind::Unsupported, format!("{} cannot be read twice", self.descriptor.digest))
                })?
            }
        };
        Ok(match self.progress.clone() {
            Some(progress) => stream.inspect_ok(move |chunk| progress(chunk.len() as u64)).boxed(),
            None => stream,
        })
    }

    /// All bytes, verified, if they are at most `limit`; memory grows with what arrives, not with what is claimed.
    ///
    /// # Errors
    /// [`Kind::TooLarge`] when the descriptor's size is above `limit`; the errors of reading and verifying.
    pub async fn bytes(&self, limit: u64) -> Result<Bytes> {
        if self.descriptor.size > limit {
            let message = format!(
                "content size {} exceeds the limit of {limit} bytes: size exceeds limit",
                self.descriptor.size
            );
            return Err(Error::new(Kind::TooLarge, message));
        }
        if let (Body::Bytes(bytes), None) = (&self.body, &self.progress) {
            return Ok(bytes.clone());
        }
        let mut stream = self.reader().await?;
        let mut all = BytesMut::new();
        while let Some(chunk) = stream.try_next().await? {
            all.extend_from_slice(&chunk);
        }
        Ok(all.freeze())
    }

    /// The content read as a manifest of its media type, at most `limit` bytes.
    pub async fn manifest(&self, limit: u64) -> Result<Manifest> {
        Ok(Manifest::parse(&self.descriptor.media_type, self.bytes(limit).await?)?)
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = match &self.body {
            Body::Bytes(_) => "in memory",
            Body::Node(_) => "in a source",
            Body::Once(_) => "once",
        };
        f.debug_struct("Content")
            .field("descriptor", &self.descriptor)
            .field("body", &body)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(chunks: &[&'static str]) -> ByteStream {
        let chunks: Vec<_> = chunks.iter().map(|chunk| Ok(Bytes::from_static(chunk.as_bytes()))).collect();
        futures::stream::iter(chunks).boxed()
    }

    #[tokio::test]
    async fn short_long_and_wrong_streams_fail() {
        let descriptor = Descriptor::of(MediaType::LAYER_TAR, b"hello");
        for (chunks, kind) in [
            (&["hel"][..], Kind::SizeMismatch),
            (&["hello", "!"], Kind::SizeMismatch),
            (&["hellx"], Kind::DigestMismatch),
            (&[], Kind::SizeMismatch),
        ] {
            let error = Content::once(descriptor.clone(), stream(chunks)).bytes(9).await.unwrap_err();
            assert_eq!(error.kind(), kind, "{chunks:?}");
        }
        assert_eq!(Content::once(descriptor, stream(&["he", "llo"])).bytes(9).await.unwrap(), "hello");
    }

    #[tokio::test]
    async fn once_is_once_and_limits_hold() {
        let descriptor = Descriptor::of(MediaType::LAYER_TAR, b"hello");
        let content = Content::once(descriptor, stream(&["hello"]));
        assert_eq!(content.bytes(4).await.unwrap_err().kind(), Kind::TooLarge);
        assert_eq!(content.bytes(5).await.unwrap(), "hello");
        assert_eq!(content.bytes(5).await.unwrap_err().kind(), Kind::Unsupported);
    }

    #[tokio::test]
    async fn ranges_and_progress() {
        let total = Arc::new(std::sync::atomic::AtomicU64::new(0));
        let counted = Arc::clone(&total);
        let content = Content::of(MediaType::LAYER_TAR, "hello").with_progress(Arc::new(move |bytes| {
            counted.fetch_add(bytes, std::sync::atomic::Ordering::Relaxed);
        }));
        let tail: Vec<_> = content.unverified(3..5).await.unwrap().try_collect().await.unwrap();
        assert_eq!(tail, ["lo"]);
        assert!(content.unverified(3..6).await.is_err());
        assert_eq!(total.load(std::sync::atomic::Ordering::Relaxed), 2);
    }
}
