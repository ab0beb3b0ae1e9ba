//! Uploads content without a digest: sends it while it is hashed, with the digest in the last request.

use std::pin::pin;

use futures::TryStreamExt;
use futures::future::{Either, select};
use oras_spec::{Algorithm, Descriptor, Digest, Hasher};
use oras_store::{Content, Error, ErrorKind, PushMode, Pushed, Result, Target, UnhashedContent};
use tokio::runtime::Handle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::http::payload::{MAX_SMALL_BLOB, Payload};
use crate::repository::repository::Repository;
use crate::repository::upload::blob_uploader::{BlobUploader, FillError};

/// Content of at least this size is sent while it is hashed. Smaller content is hashed first, which takes milliseconds
/// and may show that the registry already has it.
const STREAM_FROM: u64 = 8 << 20;

impl Repository {
    /// Uploads content whose digest is unknown, and returns its descriptor.
    pub(crate) async fn push_unhashed(&self, content: &UnhashedContent) -> Result<(Descriptor, Pushed)> {
        if content.media_type.is_manifest() {
            return self.push_unhashed_manifest(content).await;
        }
        let describe = |digest: Digest| Descriptor::new(content.media_type.clone(), digest, content.size);
        let payload = Payload::undigested(content.clone());
        let mut hashing = Hashing::start(content.clone());
        // Without `PATCH`, the digest must be known before the one request that sends the content.
        if content.size < STREAM_FROM || !self.upload_capabilities().accepts_patch() {
            let node = describe(hashing.digest().await?);
            let pushed = self.push_hashed(&payload, &node).await?;
            return Ok((node, pushed));
        }
        let name = content.identity.as_ref();
        let mut uploader = BlobUploader::new(self, &payload, name.map(String::as_str)).await;
        let streamed = self.send_while_hashing(&mut uploader, &payload, hashing.digest()).await?;
        let (digest, pushed) = match streamed {
            Streamed::Sent(digest) => {
                uploader.finish(&digest).await?;
                (digest, Pushed::Copied)
            }
            Streamed::Exists(digest) => {
                uploader.abandon().await;
                (digest, Pushed::Existed)
            }
            Streamed::Refused(digest) => {
                let pushed = self.push_hashed(&payload, &describe(digest.clone())).await?;
                (digest, pushed)
            }
        };
        Ok((describe(digest), pushed))
    }

    /// Sends content while it is hashed, and stops if the registry already has the digest.
    async fn send_while_hashing(
        &self,
        uploader: &mut BlobUploader,
        payload: &Payload,
        digest: impl Future<Output = Result<Digest>>,
    ) -> Result<Streamed> {
        let learning = pin!(async {
            let digest = digest.await?;
            // Near the end, an existence check saves too little.
            let is_early = payload.bytes_read() < payload.size() / 4 * 3;
            let exists = is_early && self.has_blob(&digest, payload.size()).await.unwrap_or_default();
            Ok::<_, Error>((digest, exists))
        });
        let (filled, (digest, exists)) = match select(pin!(uploader.fill()), learning).await {
            Either::Left((Err(FillError::Failed(error)), _)) => return Err(error),
            Either::Left((filled, learning)) => (filled, learning.await?),
            // The digest is known before the upload ends. If the blob exists, stopping saves the remaining bytes.
            Either::Right((learned, filling)) => {
                let (digest, exists) = learned?;
                if exists {
                    return Ok(Streamed::Exists(digest));
                }
                (filling.await, (digest, false))
            }
        };
        match filled {
            _ if exists => Ok(Streamed::Exists(digest)),
            Ok(()) => Ok(Streamed::Sent(digest)),
            Err(FillError::NoPatch) => Ok(Streamed::Refused(digest)),
            Err(FillError::Failed(error)) => Err(error),
        }
    }

    /// Uploads content with a known digest, unless the registry has it.
    pub(crate) async fn push_hashed(&self, payload: &Payload, node: &Descriptor) -> Result<Pushed> {
        if node.size <= MAX_SMALL_BLOB {
            return self.push_small(payload, &node.digest).await;
        }
        if self.has("blobs", node).await? {
            return Ok(Pushed::Existed);
        }
        let name = node.digest.to_string();
        BlobUploader::new(self, payload, Some(&name)).await.finish(&node.digest).await?;
        Ok(Pushed::Copied)
    }

    async fn push_unhashed_manifest(&self, content: &UnhashedContent) -> Result<(Descriptor, Pushed)> {
        let limit = self.client().options().max_manifest_size;
        if content.size > limit {
            let message = format!("a manifest of {} bytes exceeds the limit of {limit}", content.size);
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        let mut stream = content.open(0).await?;
        let mut bytes = Vec::new();
        while let Some(chunk) = stream.try_next().await? {
            bytes.extend_from_slice(&chunk);
            check_length(bytes.len() as u64, content.size, false)?;
        }
        check_length(bytes.len() as u64, content.size, true)?;
        let content = Content::of(content.media_type.clone(), bytes);
        let pushed = self.push(&content, PushMode::Untagged).await?;
        Ok((content.descriptor().clone(), pushed))
    }
}

/// The state of the upload when the digest is known.
enum Streamed {
    /// The registry has received all bytes in the upload session.
    Sent(Digest),
    /// The registry already had the blob.
    Exists(Digest),
    /// The registry accepts only whole blobs.
    Refused(Digest),
}

/// The computation of a digest on a separate thread, which may read faster than the upload. The upload then reads the
/// content from the page cache. Dropping this stops the thread.
struct Hashing {
    work: tokio::task::JoinHandle<Result<Digest>>,
    _guard: DropGuard,
}

impl Hashing {
    fn start(content: UnhashedContent) -> Self {
        let cancel = CancellationToken::new();
        let guard = cancel.clone().drop_guard();
        let runtime = Handle::current();
        // Hashing in the async task would compete with sending for one thread.
        let work = tokio::task::spawn_blocking(move || runtime.block_on(hash(&content, &cancel)));
        Self { work, _guard: guard }
    }

    async fn digest(&mut self) -> Result<Digest> {
        match (&mut self.work).await {
            Ok(digest) => digest,
            Err(error) => match error.try_into_panic() {
                // A panic is a bug of the hashing code and must not look like a failed upload.
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(error) => {
                    Err(Error::new(ErrorKind::Other, "the runtime is shutting down").with_source(error))
                }
            },
        }
    }
}

async fn hash(content: &UnhashedContent, cancel: &CancellationToken) -> Result<Digest> {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let mut seen = 0;
    let mut stream = content.read(0).await?;
    while let Some(chunk) = stream.try_next().await? {
        // A blocking task can't be aborted, so it checks for each chunk.
        if cancel.is_cancelled() {
            return Err(Error::new(ErrorKind::Other, "the upload was cancelled"));
        }
        seen += chunk.len() as u64;
        check_length(seen, content.size, false)?;
        hasher.update(&chunk);
    }
    check_length(seen, content.size, true)?;
    Ok(hasher.finish())
}

/// Fails if `seen` exceeds `size`, or if it is smaller at the end of the content.
pub(crate) fn check_length(seen: u64, size: u64, is_end: bool) -> Result<()> {
    if seen > size {
        let message = format!("content is longer than its {size} bytes: trailing data");
        return Err(Error::new(ErrorKind::SizeMismatch, message));
    }
    if is_end && seen < size {
        let message = format!("content ended after {seen} of {size} bytes: unexpected EOF");
        return Err(Error::new(ErrorKind::SizeMismatch, message));
    }
    Ok(())
}
