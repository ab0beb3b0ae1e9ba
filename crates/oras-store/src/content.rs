//! Content: the bytes that a descriptor names, in memory or in a source.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt};
use oras_spec::{Descriptor, Manifest, MediaType};

use crate::progress::{Progress, ProgressUpdate};
use crate::verify::verified;
use crate::{ByteStream, Error, ErrorKind, Origin, Result, Source};

/// The bytes of one descriptor, in memory or in a source. Pushes and copies pass content between stores with it. Cheap
/// to clone.
///
/// Content can be opened any number of times and from any offset, so that a request body can be replayed or resumed.
/// Content from [`Content::once`] can be opened only once. [`Content::reader`] and [`Content::bytes`] always verify
/// size and digest.
///
/// ```
/// use oras_store::spec::{Descriptor, MediaType};
/// use oras_store::{Content, Result};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// let content = Content::of(MediaType::LAYER_TAR, "hello world\n");
/// // Another title for the same bytes, as when two files have one content.
/// let mut titled = content.descriptor().clone();
/// titled.annotations.insert("org.opencontainers.image.title".into(), "hi.txt".into());
/// let content = content.described_as(titled);
/// assert_eq!(content.bytes(1024).await?, "hello world\n");
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Content {
    descriptor: Arc<Descriptor>,
    body: Body,
    /// The source of the content if the descriptor embeds the bytes.
    embedding_source: Option<Arc<dyn Source>>,
    progress: Option<Progress>,
}

#[derive(Clone)]
enum Body {
    /// Verified when the content was made.
    Bytes(Bytes),
    Source(Arc<dyn Source>),
    Once(Arc<Mutex<Option<ByteStream>>>),
}

impl Content {
    /// Makes content of `bytes`, which must match `descriptor`.
    ///
    /// # Errors
    /// [`ErrorKind::SizeMismatch`], [`ErrorKind::DigestMismatch`], or [`ErrorKind::Unsupported`] for an unknown
    /// algorithm.
    pub fn from_bytes(descriptor: Descriptor, bytes: impl Into<Bytes>) -> Result<Self> {
        let bytes = bytes.into();
        let mut verifier = crate::Verifier::new(&descriptor)?;
        verifier.update(&bytes)?;
        verifier.finish()?;
        Ok(Self {
            descriptor: Arc::new(descriptor),
            body: Body::Bytes(bytes),
            embedding_source: None,
            progress: None,
        })
    }

    /// Makes content of `media_type` from `bytes`, with their SHA-256 digest.
    pub fn of(media_type: MediaType, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let descriptor = Arc::new(Descriptor::of(media_type, &bytes));
        Self { descriptor, body: Body::Bytes(bytes), embedding_source: None, progress: None }
    }

    /// Makes content that is read from `source`. Bytes that the descriptor embeds are used if they match it.
    pub fn from_source(source: Arc<dyn Source>, descriptor: Descriptor) -> Self {
        let (body, embedding_source) = match descriptor.embedded() {
            // The source is stored as well, because a target can still mount the content from its repository.
            Some(data) => (Body::Bytes(data.clone()), Some(source)),
            None => (Body::Source(source), None),
        };
        Self { descriptor: Arc::new(descriptor), body, embedding_source, progress: None }
    }

    /// Makes content from a stream that can be read only once, such as standard input. A second read is an error.
    pub fn once(descriptor: Descriptor, stream: ByteStream) -> Self {
        let body = Body::Once(Arc::new(Mutex::new(Some(stream))));
        Self { descriptor: Arc::new(descriptor), body, embedding_source: None, progress: None }
    }

    /// Replaces the descriptor by one with more fields: annotations, artifact type, platform.
    ///
    /// Digest and size stay those of the content.
    #[must_use]
    pub fn described_as(mut self, mut descriptor: Descriptor) -> Self {
        // The new descriptor must not change the digest and size that the bytes were or will be verified with.
        descriptor.digest = self.descriptor.digest.clone();
        descriptor.size = self.descriptor.size;
        self.descriptor = Arc::new(descriptor);
        self
    }

    /// Reports transferred bytes to `progress`.
    #[must_use]
    pub fn with_progress(mut self, progress: Progress) -> Self {
        self.progress = Some(progress);
        self
    }

    /// Reports bytes that the receiver already has, as [`ProgressUpdate::Present`]. A target calls this instead of
    /// reading them.
    pub fn report_present(&self, bytes: u64) {
        if let Some(progress) = self.progress.as_ref().filter(|_| bytes > 0) {
            progress(ProgressUpdate::Present(bytes));
        }
    }

    /// Returns the descriptor of the content.
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// Returns the location from which a target can get the bytes directly, such as a repository or a file.
    pub fn origin(&self) -> Origin {
        match (&self.body, &self.embedding_source) {
            // Embedded bytes have a source, too, and a registry can mount the content from there.
            (Body::Source(source), _) | (_, Some(source)) => source.origin(&self.descriptor),
            (Body::Bytes(_) | Body::Once(_), None) => Origin::Opaque,
        }
    }

    /// Returns the bytes if they are in memory.
    pub fn in_memory(&self) -> Option<&Bytes> {
        match &self.body {
            Body::Bytes(bytes) => Some(bytes),
            Body::Source(_) | Body::Once(_) => None,
        }
    }

    /// Returns true if the content can be read again.
    pub fn is_replayable(&self) -> bool {
        !matches!(self.body, Body::Once(_))
    }

    /// Opens a verified stream of all bytes.
    ///
    /// If the bytes do not match the descriptor, the stream ends with an error, and the caller must discard the bytes
    /// before it.
    pub async fn reader(&self) -> Result<ByteStream> {
        verified(&self.descriptor, self.unverified(0..self.descriptor.size).await?)
    }

    /// Opens an **unverified** stream of the bytes in `range`, and reports progress.
    ///
    /// This is for receivers that verify size and digest themselves, as a registry does with an upload and
    /// `oras-fs` with a file. The range must lie within the size of the descriptor. A source may send more or
    /// fewer bytes than the range has.
    pub async fn unverified(&self, range: Range<u64>) -> Result<ByteStream> {
        let stream = match &self.body {
            Body::Bytes(bytes) => {
                let slice =
                    usize::try_from(range.start).and_then(|start| Ok(start..usize::try_from(range.end)?));
                let slice = slice.ok().filter(|slice| slice.start <= slice.end && slice.end <= bytes.len());
                let slice = slice
                    .ok_or_else(|| Error::new(ErrorKind::InvalidInput, "range outside of the content"))?;
                let bytes = bytes.slice(slice);
                futures::stream::iter((!bytes.is_empty()).then_some(Ok(bytes))).boxed()
            }
            Body::Source(source) => source.fetch(&self.descriptor, range).await?,
            Body::Once(stream) => {
                // A second read must fail, and so must a read from an offset: the stream cannot return to earlier
                // bytes.
                let taken = stream.lock().unwrap_or_else(PoisonError::into_inner).take();
                taken.filter(|_| range.start == 0).ok_or_else(|| {
                    Error::new(
                        ErrorKind::Unsupported,
                        format!("{} cannot be read twice", self.descriptor.digest),
                    )
                })?
            }
        };
        Ok(match self.progress.clone() {
            Some(progress) => stream
                .inspect_ok(move |chunk| progress(ProgressUpdate::Transferred(chunk.len() as u64)))
                .boxed(),
            None => stream,
        })
    }

    /// Reads and verifies all bytes, at most `limit`. Memory grows with the bytes that arrive, not with the claimed
    /// size.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] if the size of the descriptor exceeds `limit`, and the errors of reading and verifying.
    pub async fn bytes(&self, limit: u64) -> Result<Bytes> {
        // The message ends with the text of the same error in the Go library.
        if self.descriptor.size > limit {
            let message = format!(
                "content size {} exceeds the limit of {limit} bytes: size exceeds limit",
                self.descriptor.size
            );
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        // Bytes in memory were verified when the content was made. With progress, the stream below reports them.
        if let (Body::Bytes(bytes), None) = (&self.body, &self.progress) {
            return Ok(bytes.clone());
        }
        let mut stream = self.reader().await?;
        // The buffer starts empty, since the descriptor's size may be false: a small response must not reserve much
        // memory.
        let mut all = BytesMut::new();
        while let Some(chunk) = stream.try_next().await? {
            all.extend_from_slice(&chunk);
        }
        Ok(all.freeze())
    }

    /// Reads the content, at most `limit` bytes, and parses it as a manifest of its media type.
    pub async fn manifest(&self, limit: u64) -> Result<Manifest> {
        Ok(Manifest::parse(&self.descriptor.media_type, self.bytes(limit).await?)?)
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = match &self.body {
            Body::Bytes(_) => "in memory",
            Body::Source(_) => "in a source",
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
    async fn rejects_short_long_and_wrong_streams() {
        let descriptor = Descriptor::of(MediaType::LAYER_TAR, b"hello");
        for (chunks, kind) in [
            (&["hel"][..], ErrorKind::SizeMismatch),
            (&["hello", "!"], ErrorKind::SizeMismatch),
            (&["hellx"], ErrorKind::DigestMismatch),
            (&[], ErrorKind::SizeMismatch),
        ] {
            let error = Content::once(descriptor.clone(), stream(chunks)).bytes(9).await.unwrap_err();
            assert_eq!(error.kind(), kind, "{chunks:?}");
        }
        assert_eq!(Content::once(descriptor, stream(&["he", "llo"])).bytes(9).await.unwrap(), "hello");
    }

    #[tokio::test]
    async fn once_content_is_read_once_and_within_the_limit() {
        let descriptor = Descriptor::of(MediaType::LAYER_TAR, b"hello");
        let content = Content::once(descriptor, stream(&["hello"]));
        assert_eq!(content.bytes(4).await.unwrap_err().kind(), ErrorKind::TooLarge);
        assert_eq!(content.bytes(5).await.unwrap(), "hello");
        assert_eq!(content.bytes(5).await.unwrap_err().kind(), ErrorKind::Unsupported);
    }

    #[tokio::test]
    async fn reads_ranges_and_reports_progress() {
        let total = Arc::new(std::sync::atomic::AtomicU64::new(0));
        let counted = Arc::clone(&total);
        let content = Content::of(MediaType::LAYER_TAR, "hello").with_progress(Arc::new(move |update| {
            let ProgressUpdate::Transferred(bytes) = update else { return };
            counted.fetch_add(bytes, std::sync::atomic::Ordering::Relaxed);
        }));
        let tail: Vec<_> = content.unverified(3..5).await.unwrap().try_collect().await.unwrap();
        assert_eq!(tail, ["lo"]);
        assert!(content.unverified(3..6).await.is_err());
        assert_eq!(total.load(std::sync::atomic::Ordering::Relaxed), 2);
    }
}
