//! Content whose size is known and whose digest is not, such as a file before it is pushed.

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use oras_spec::MediaType;

use crate::progress::{Progress, ProgressUpdate};
use crate::{ByteStream, Result};

/// Opens a stream of the bytes from an offset to the end. [`UnhashedContent::new`] takes one.
pub type Opener = Arc<dyn Fn(u64) -> BoxFuture<'static, Result<ByteStream>> + Send + Sync>;

/// Content whose size is known and whose digest is not, such as a file that is hashed while it is sent. Cheap to clone.
///
/// [`IngestTarget::ingest`](crate::IngestTarget::ingest) stores it and computes the digest. The content can be opened
/// any number of times. Every [`Opener`] call must return the same bytes or an error, so an opener of a file fails if
/// the file changed.
///
/// ```
/// use std::sync::Arc;
///
/// use futures::{FutureExt, StreamExt, stream};
/// use oras_store::spec::MediaType;
/// use oras_store::{IngestTarget, Opener, Pushed, Result, UnhashedContent};
///
/// /// Stores a file in one pass: it is hashed while it is sent.
/// async fn store_file(store: &dyn IngestTarget, path: std::path::PathBuf) -> Result<()> {
///     let size = std::fs::metadata(&path).map_err(|error| oras_store::Error::io("failed to open", error))?.len();
///     let opener: Opener = Arc::new(move |offset| {
///         let bytes = std::fs::read(&path).map_err(|error| oras_store::Error::io("failed to read", error));
///         let rest = bytes.map(|bytes| bytes::Bytes::from(bytes).slice(offset as usize..));
///         async { Ok(stream::iter([rest]).boxed()) }.boxed()
///     });
///     let (layer, outcome) = store.ingest(&UnhashedContent::new(MediaType::LAYER_TAR, size, opener)).await?;
///     println!("{}: {}", layer.digest, if outcome == Pushed::Existed { "exists" } else { "stored" });
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct UnhashedContent {
    /// The media type of the content.
    pub media_type: MediaType,
    /// The number of bytes.
    pub size: u64,
    /// A text that identifies these bytes in a later run of the program, such as the path, length and times of a
    /// file. A store can use it to resume an interrupted upload. `None` if an upload cannot be resumed in a later
    /// run.
    pub identity: Option<String>,
    opener: Opener,
    progress: Option<Progress>,
}

impl UnhashedContent {
    /// Makes content of `size` bytes that `opener` opens.
    pub fn new(media_type: MediaType, size: u64, opener: Opener) -> Self {
        Self { media_type, size, identity: None, opener, progress: None }
    }

    /// Sets [`UnhashedContent::identity`].
    #[must_use]
    pub fn identified_by(mut self, identity: String) -> Self {
        self.identity = Some(identity);
        self
    }

    /// Reports the bytes that are read through [`UnhashedContent::open`] to `progress`.
    #[must_use]
    pub fn with_progress(mut self, progress: Progress) -> Self {
        self.progress = Some(progress);
        self
    }

    /// Reports bytes that the receiver already has, as [`ProgressUpdate::Present`].
    pub fn report_present(&self, bytes: u64) {
        if let Some(progress) = self.progress.as_ref().filter(|_| bytes > 0) {
            progress(ProgressUpdate::Present(bytes));
        }
    }

    /// Opens a stream of the bytes from `offset` to the end, and reports progress.
    pub async fn open(&self, offset: u64) -> Result<ByteStream> {
        use futures::{StreamExt, TryStreamExt};

        let stream = (self.opener)(offset).await?;
        Ok(match self.progress.clone() {
            Some(progress) => stream
                .inspect_ok(move |chunk| progress(ProgressUpdate::Transferred(chunk.len() as u64)))
                .boxed(),
            None => stream,
        })
    }

    /// Opens a stream of the bytes from `offset` to the end, and reports no progress. This is for hashing the bytes
    /// before or during the transfer.
    pub async fn read(&self, offset: u64) -> Result<ByteStream> {
        // The transfer reports the same bytes. Reporting them here would count them twice.
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
