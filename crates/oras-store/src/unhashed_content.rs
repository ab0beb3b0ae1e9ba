//! Bytes of known length whose digest nobody knows yet: a file on its way into a store.

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use oras_spec::MediaType;

use crate::content::Progress;
use crate::{ByteStream, Result};

/// Opens the bytes from an offset to their end.
pub type Opener = Arc<dyn Fn(u64) -> BoxFuture<'static, Result<ByteStream>> + Send + Sync>;

/// Bytes whose length is known and whose digest is not; cheap to clone, and opened any number of times.
///
/// Every opening must give the same bytes or an error: an opener that reads a file fails when the file has changed.
/// Stores take it with [`IngestTarget::ingest`](crate::IngestTarget::ingest), hashing what they take.
#[derive(Clone)]
pub struct UnhashedContent {
    /// What the content will be described as.
    pub media_type: MediaType,
    /// The exact number of bytes.
    pub size: u64,
    /// What names these very bytes in a later run of the program (path, length and times of a file, say): a store may
    /// go on with what it was given of them then. `None` when nothing does.
    pub identity: Option<String>,
    opener: Opener,
    progress: Option<Progress>,
}

impl UnhashedContent {
    /// `size` bytes that `opener` opens.
    pub fn new(media_type: MediaType, size: u64, opener: Opener) -> Self {
        Self { media_type, size, identity: None, opener, progress: None }
    }

    /// The same bytes under an identity that outlives the program.
    #[must_use]
    pub fn identified_by(mut self, identity: String) -> Self {
        self.identity = Some(identity);
        self
    }

    /// The same bytes, reporting those that pass by [`UnhashedContent::open`] to `progress`.
    #[must_use]
    pub fn with_progress(mut self, progress: Progress) -> Self {
        self.progress = Some(progress);
        self
    }

    /// The bytes from `offset` to the end, for sending: reports progress.
    pub async fn open(&self, offset: u64) -> Result<ByteStream> {
        use futures::{StreamExt, TryStreamExt};

        let stream = (self.opener)(offset).await?;
        Ok(match self.progress.clone() {
            Some(progress) => stream.inspect_ok(move |chunk| progress(chunk.len() as u64)).boxed(),
            None => stream,
        })
    }

    /// The bytes from `offset` to the end, for hashing: tells nobody.
    pub async fn read(&self, offset: u64) -> Result<ByteStream> {
        (self.opener)(offset).await
    }
}

impl fmt::Debug for UnhashedContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnhashedContent")
            .field("media_type", &self.media_type)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}
