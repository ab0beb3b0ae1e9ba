//! Bytes that come without size and digest: sent in pieces, each held until the registry has it, while the next comes.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::FutureExt;
use futures::future::join;
use oras_spec::{Algorithm, Descriptor, Digest, Hasher, Manifest, MediaType};
use oras_store::{Content, Error, Ingest, Kind, Result, Undigested, fsio};
use tokio::task::JoinSet;

use super::payload::Payload;
use super::transfer::{Stopped, Transfer};
use crate::repository::Repository;

/// The bytes of one piece; twice as many are held.
const PIECE: usize = 4 << 20;

/// Content on its way into a repository. Dropped, it leaves a session that the registry forgets by itself; given up, the
/// registry is told.
pub(crate) struct Pieces {
    repository: Repository,
    media_type: MediaType,
    algorithm: Algorithm,
    written: u64,
    /// What is not on its way yet.
    buffer: BytesMut,
    way: Way,
}

/// Where the bytes go once there are more than one piece of them.
enum Way {
    /// Nowhere yet.
    Undecided(Hasher),
    /// A task sends a piece, and tells then how it goes on.
    Sending(JoinSet<Result<Way>>),
    /// Into a session, which has all pieces so far.
    Session(Box<Transfer>, Hasher),
    /// Into a file without a name, for a registry that takes only what is whole.
    Spooled(Arc<File>, Hasher),
    /// Nowhere any more: there was an error.
    Failed,
}

impl Pieces {
    /// Connects to nobody before there is a whole piece.
    pub(crate) fn new(repository: Repository, media_type: MediaType, algorithm: Algorithm) -> Self {
        let way = Way::Undecided(Hasher::new(algorithm));
        Self { repository, media_type, algorithm, written: 0, buffer: BytesMut::new(), way }
    }

    /// Waits for the piece that is on its way. Until another way is set there is none.
    async fn settled(&mut self) -> Result<Way> {
        match std::mem::replace(&mut self.way, Way::Failed) {
            Way::Sending(mut sending) => match sending.join_next().await {
                Some(Ok(way)) => way,
                _ => Err(gone()),
            },
            Way::Failed => Err(gone()),
            way => Ok(way),
        }
    }

    /// Lets a task send what is in the buffer, once the piece before it is there.
    async fn send(&mut self) -> Result<()> {
        let piece = self.buffer.split().freeze();
        let payload = Payload::window(self.written - piece.len() as u64, piece.clone());
        let work = match self.settled().await? {
            Way::Session(mut transfer, hasher) => {
                transfer.goes_on_with(payload);
                forward(transfer, hasher, piece).boxed()
            }
            Way::Undecided(hasher) if self.repository.host().takes_patch() => {
                let transfer = Transfer::new(&self.repository, &payload, None).await;
                forward(Box::new(transfer), hasher, piece).boxed()
            }
            Way::Undecided(hasher) => spool(None, hasher, piece).boxed(),
            Way::Spooled(file, hasher) => spool(Some(file), hasher, piece).boxed(),
            Way::Sending(_) | Way::Failed => return Err(gone()),
        };
        let mut sending = JoinSet::new();
        sending.spawn(work);
        self.way = Way::Sending(sending);
        Ok(())
    }

    async fn commit_blob(mut self, expected: Option<&Digest>) -> Result<Descriptor> {
        if !matches!(self.way, Way::Undecided(_)) && !self.buffer.is_empty() {
            self.send().await?;
        }
        let way = self.settled().await?;
        let found = match &way {
            Way::Undecided(hasher) => {
                let mut hasher = hasher.clone();
                hasher.update(&self.buffer);
                hasher.finish()
            }
            Way::Session(_, hasher) | Way::Spooled(_, hasher) => hasher.clone().finish(),
            Way::Sending(_) | Way::Failed => return Err(gone()),
        };
        // A digest of another algorithm is for the registry to check, which has the bytes.
        let digest = match expected {
            Some(expected) if expected.algorithm_name() != found.algorithm_name() => expected.clone(),
            Some(expected) if *expected != found => {
                if let Way::Session(mut transfer, _) = way {
                    transfer.abandon().await;
                }
                let message = format!("mismatched digest: expected {expected}, got {found}");
                return Err(Error::new(Kind::DigestMismatch, message));
            }
            _ => found,
        };
        let node = Descriptor::new(self.media_type.clone(), digest, self.written);
        match way {
            Way::Session(mut transfer, _) => transfer.finish(&node.digest).await?,
            Way::Spooled(file, _) => {
                let size = self.written;
                let opener = move |offset| {
                    let stream = fsio::read(Arc::clone(&file), offset..size, "a temporary file".to_owned());
                    async move { Ok(stream) }.boxed()
                };
                let content = Undigested::new(self.media_type, size, Arc::new(opener));
                self.repository.push_digested(&Payload::undigested(content), &node).await?;
            }
            _ => {
                let content = Content::from_bytes(node.clone(), self.buffer.freeze())?;
                self.repository.push_digested(&Payload::content(content), &node).await?;
            }
        }
        Ok(node)
    }

    async fn commit_manifest(self, expected: Option<&Digest>) -> Result<Descriptor> {
        let bytes = self.buffer.freeze();
        let digest = expected.cloned().unwrap_or_else(|| Digest::of(self.algorithm, &bytes));
        let node = Descriptor::new(self.media_type, digest, bytes.len() as u64);
        Manifest::parse(&node.media_type, bytes.clone())?;
        let content = Content::from_bytes(node.clone(), bytes)?;
        let reference = self.repository.named(&node.digest.to_string())?;
        self.repository.push_manifest(&content, &reference).await?;
        Ok(node)
    }
}

#[async_trait]
impl Ingest for Pieces {
    async fn write(&mut self, mut chunk: Bytes) -> Result<()> {
        if self.media_type.is_manifest() {
            let limit = self.repository.client().options().max_manifest_size;
            self.written += chunk.len() as u64;
            if self.written > limit {
                let message = format!("a manifest exceeds the limit of {limit} bytes: size exceeds limit");
                return Err(Error::new(Kind::TooLarge, message));
            }
            self.buffer.extend_from_slice(&chunk);
            return Ok(());
        }
        while !chunk.is_empty() {
            // A full buffer is sent when more comes: what fits into one piece needs no session.
            if self.buffer.len() == PIECE {
                self.send().await?;
            }
            let part = chunk.split_to(chunk.len().min(PIECE - self.buffer.len()));
            if self.written > PIECE as u64 / 2 {
                // All at once: growing step by step leaves holes as large as the piece.
                self.buffer.reserve(PIECE - self.buffer.len());
            }
            self.buffer.extend_from_slice(&part);
            self.written += part.len() as u64;
        }
        Ok(())
    }

    fn written(&self) -> u64 {
        self.written
    }

    async fn commit(self: Box<Self>, expected: Option<&Digest>) -> Result<Descriptor> {
        if self.media_type.is_manifest() {
            return self.commit_manifest(expected).await;
        }
        self.commit_blob(expected).await
    }

    async fn abort(mut self: Box<Self>) {
        if let Ok(Way::Session(mut transfer, _)) = self.settled().await {
            transfer.abandon().await;
        }
    }
}

/// Brings a piece into the session, and hashes it meanwhile.
async fn forward(mut transfer: Box<Transfer>, hasher: Hasher, piece: Bytes) -> Result<Way> {
    let bytes = piece.clone();
    let mut before = hasher.clone();
    let hashing = fsio::blocking(move || {
        before.update(&bytes);
        Ok(before)
    });
    let (filled, hashed) = join(transfer.fill(), hashing).await;
    match filled {
        Ok(()) => Ok(Way::Session(transfer, hashed?)),
        Err(Stopped::NoPatch) => spool(None, hasher, piece).await,
        Err(Stopped::Failed(error)) => Err(error),
    }
}

/// Writes a piece to the file, a new one if there is none yet.
async fn spool(file: Option<Arc<File>>, mut hasher: Hasher, piece: Bytes) -> Result<Way> {
    fsio::blocking(move || {
        let failed = |error| Error::io("failed to write a temporary file", error);
        let file = match file {
            Some(file) => file,
            None => Arc::new(tempfile::tempfile().map_err(failed)?),
        };
        (&*file).write_all(&piece).map_err(failed)?;
        hasher.update(&piece);
        Ok(Way::Spooled(file, hasher))
    })
    .await
}

fn gone() -> Error {
    Error::new(Kind::Other, "the upload has failed before")
}
