//! Bytes without a digest yet, sent while they are hashed: one pass over the network, the digest in the last request.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::TryStreamExt;
use futures::future::{Either, select};
use oras_spec::{Algorithm, Descriptor, Digest, Hasher};
use oras_store::{Content, Error, Kind, Pushed, Result, Target, Undigested};
use tokio::runtime::Handle;

use super::SMALL;
use super::payload::Payload;
use super::transfer::{Stopped, Transfer};
use crate::repository::Repository;

/// Smaller content is hashed first: that takes a few milliseconds, and the registry may have it.
const STREAM_FROM: u64 = 8 << 20;

impl Repository {
    /// Stores bytes that have no digest yet, and tells what they are.
    pub(crate) async fn push_undigested(&self, content: &Undigested) -> Result<(Descriptor, Pushed)> {
        if content.media_type.is_manifest() {
            return self.push_undigested_manifest(content).await;
        }
        let describe = |digest: Digest| Descriptor::new(content.media_type.clone(), digest, content.size);
        let payload = Payload::undigested(content.clone());
        let mut hashing = Hashing::start(content.clone());
        if content.size < STREAM_FROM || !self.host().takes_patch() {
            let node = describe(hashing.digest().await?);
            let pushed = self.push_digested(&payload, &node).await?;
            return Ok((node, pushed));
        }
        let name = content.identity.as_ref();
        let mut transfer = Transfer::new(self, &payload, name.map(String::as_str)).await;
        let streamed = self.stream(&mut transfer, &payload, hashing.digest()).await?;
        let (digest, pushed) = match streamed {
            Streamed::Sent(digest) => {
                transfer.finish(&digest).await?;
                (digest, Pushed::Copied)
            }
            Streamed::Exists(digest) => {
                transfer.abandon().await;
                (digest, Pushed::Existed)
            }
            Streamed::Refused(digest) => {
                let pushed = self.push_digested(&payload, &describe(digest.clone())).await?;
                (digest, pushed)
            }
        };
        Ok((describe(digest), pushed))
    }

    /// Sends while the digest is computed, which may turn out to be there already.
    async fn stream(
        &self,
        transfer: &mut Transfer,
        payload: &Payload,
        digest: impl Future<Output = Result<Digest>>,
    ) -> Result<Streamed> {
        let learning = pin!(async {
            let digest = digest.await?;
            // Near the end the answer would come too late to save anything.
            let is_early = payload.taken() < payload.size() / 4 * 3;
            let exists = is_early && self.has_blob(&digest, payload.size()).await.unwrap_or_default();
            Ok::<_, Error>((digest, exists))
        });
        let (filled, (digest, exists)) = match select(pin!(transfer.fill()), learning).await {
            Either::Left((Err(Stopped::Failed(error)), _)) => return Err(error),
            Either::Left((filled, learning)) => (filled, learning.await?),
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
            Err(Stopped::NoPatch) => Ok(Streamed::Refused(digest)),
            Err(Stopped::Failed(error)) => Err(error),
        }
    }

    /// Sends what was hashed, unless it is there.
    pub(super) async fn push_digested(&self, payload: &Payload, node: &Descriptor) -> Result<Pushed> {
        if node.size <= SMALL {
            return self.push_small(payload, &node.digest).await;
        }
        if self.has("blobs", node).await? {
            return Ok(Pushed::Existed);
        }
        let name = node.digest.to_string();
        Transfer::new(self, payload, Some(&name)).await.finish(&node.digest).await?;
        Ok(Pushed::Copied)
    }

    async fn push_undigested_manifest(&self, content: &Undigested) -> Result<(Descriptor, Pushed)> {
        let limit = self.client().options().max_manifest_size;
        if content.size > limit {
            let message = format!("a manifest of {} bytes exceeds the limit of {limit}", content.size);
            return Err(Error::new(Kind::TooLarge, message));
        }
        let mut stream = content.open(0).await?;
        let mut bytes = Vec::new();
        while let Some(chunk) = stream.try_next().await? {
            bytes.extend_from_slice(&chunk);
            check_length(bytes.len() as u64, content.size, false)?;
        }
        check_length(bytes.len() as u64, content.size, true)?;
        let content = Content::of(content.media_type.clone(), bytes);
        let pushed = self.push(&content).await?;
        Ok((content.descriptor().clone(), pushed))
    }
}

/// How far bytes got whose digest is known now.
enum Streamed {
    /// All are in the session.
    Sent(Digest),
    /// The registry had them.
    Exists(Digest),
    /// The registry takes only what is whole.
    Refused(Digest),
}

/// A digest that is computed on a thread that reads by itself, and may run ahead of the network: what it reads is in the
/// page cache for whoever reads it second. Dropping it ends the thread.
struct Hashing {
    work: tokio::task::JoinHandle<Result<Digest>>,
    over: Arc<AtomicBool>,
}

impl Hashing {
    fn start(content: Undigested) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&over);
        let runtime = Handle::current();
        let work = tokio::task::spawn_blocking(move || runtime.block_on(hash(&content, &stop)));
        Self { work, over }
    }

    async fn digest(&mut self) -> Result<Digest> {
        match (&mut self.work).await {
            Ok(digest) => digest,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(error) => Err(Error::new(Kind::Other, "the runtime is shutting down").with_source(error)),
            },
        }
    }
}

impl Drop for Hashing {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

async fn hash(content: &Undigested, over: &AtomicBool) -> Result<Digest> {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let mut seen = 0;
    let mut stream = content.read(0).await?;
    while let Some(chunk) = stream.try_next().await? {
        if over.load(Ordering::Relaxed) {
            return Err(Error::new(Kind::Other, "nobody waits for the digest any more"));
        }
        seen += chunk.len() as u64;
        check_length(seen, content.size, false)?;
        hasher.update(&chunk);
    }
    check_length(seen, content.size, true)?;
    Ok(hasher.finish())
}

/// An error when there are more bytes than said, or fewer in all.
pub(super) fn check_length(seen: u64, size: u64, all: bool) -> Result<()> {
    if seen > size {
        let message = format!("content is longer than its {size} bytes: trailing data");
        return Err(Error::new(Kind::SizeMismatch, message));
    }
    if all && seen < size {
        let message = format!("content ended after {seen} of {size} bytes: unexpected EOF");
        return Err(Error::new(Kind::SizeMismatch, message));
    }
    Ok(())
}
