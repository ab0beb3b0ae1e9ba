//! Stores content of unknown size and digest: sends chunks, each buffered until the registry has it, while the next
//! one is filled.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::FutureExt;
use futures::future::join;
use oras_spec::{Algorithm, Descriptor, Digest, Hasher, Manifest, MediaType};
use oras_store::{Content, Error, ErrorKind, Ingest, Result, UnhashedContent, Written};
use tokio::task::JoinSet;

use crate::http::payload::Payload;
use crate::repository::referrers::referrers_index::Verify;
use crate::repository::repository::Repository;
use crate::repository::upload::blob_uploader::{BlobUploader, FillError};

/// The size of one chunk in bytes. Two chunks are in memory at a time.
const CHUNK_SIZE: usize = 4 << 20;

/// Content that is written to a repository. If dropped, its session stays until it expires; aborting deletes it.
pub(crate) struct ChunkedIngest {
    repository: Repository,
    media_type: MediaType,
    algorithm: Algorithm,
    written: u64,
    /// Bytes that are not yet sent.
    buffer: BytesMut,
    state: IngestState,
}

/// The destination of the bytes, which is decided when there is more than one chunk.
enum IngestState {
    /// Nothing was sent yet.
    Undecided(Hasher),
    /// A task sends a chunk and returns the next state.
    Sending(JoinSet<Result<IngestState>>),
    /// A session that has all chunks so far.
    Session(Box<BlobUploader>, Hasher),
    /// An unnamed file, for a registry that accepts only whole blobs.
    Spooled(Arc<File>, Hasher),
    /// An earlier write failed.
    Failed,
}

impl ChunkedIngest {
    /// Creates an ingest. Connects only when the first chunk is full.
    pub(crate) fn new(repository: Repository, media_type: MediaType, algorithm: Algorithm) -> Self {
        let state = IngestState::Undecided(Hasher::new(algorithm));
        Self { repository, media_type, algorithm, written: 0, buffer: BytesMut::new(), state }
    }

    /// Waits for the chunk in flight and takes the state.
    async fn take_state(&mut self) -> Result<IngestState> {
        match std::mem::replace(&mut self.state, IngestState::Failed) {
            IngestState::Sending(mut sending) => match sending.join_next().await {
                Some(Ok(state)) => state,
                _ => Err(failed_before()),
            },
            IngestState::Failed => Err(failed_before()),
            state => Ok(state),
        }
    }

    /// Starts a task that sends the buffer, after the previous chunk was stored.
    async fn send(&mut self) -> Result<()> {
        let chunk = self.buffer.split().freeze();
        let payload = Payload::window(self.written - chunk.len() as u64, chunk.clone());
        let work = match self.take_state().await? {
            IngestState::Session(mut uploader, hasher) => {
                uploader.set_payload(payload);
                forward(uploader, hasher, chunk).boxed()
            }
            // Saves no state, because the earlier chunks are not kept and a later run could not send them.
            IngestState::Undecided(hasher) if self.repository.upload_capabilities().accepts_patch() => {
                let uploader = BlobUploader::new(&self.repository, &payload, None).await;
                forward(Box::new(uploader), hasher, chunk).boxed()
            }
            IngestState::Undecided(hasher) => spool(None, hasher, chunk).boxed(),
            IngestState::Spooled(file, hasher) => spool(Some(file), hasher, chunk).boxed(),
            IngestState::Sending(_) | IngestState::Failed => return Err(failed_before()),
        };
        // A `JoinSet` aborts its task when dropped, so a cancelled ingest leaves no detached task.
        let mut sending = JoinSet::new();
        sending.spawn(work);
        self.state = IngestState::Sending(sending);
        Ok(())
    }

    async fn append(&mut self, mut chunk: Bytes) -> Result<()> {
        if self.media_type.is_manifest() {
            let limit = self.repository.client().options().max_manifest_size;
            self.written += chunk.len() as u64;
            if self.written > limit {
                let message = format!("a manifest exceeds the limit of {limit} bytes: size exceeds limit");
                return Err(Error::new(ErrorKind::TooLarge, message));
            }
            self.buffer.extend_from_slice(&chunk);
            return Ok(());
        }
        while !chunk.is_empty() {
            // A full buffer is sent only when more bytes follow: content of one chunk needs no session.
            if self.buffer.len() == CHUNK_SIZE {
                self.send().await?;
            }
            let part = chunk.split_to(chunk.len().min(CHUNK_SIZE - self.buffer.len()));
            if self.written > CHUNK_SIZE as u64 / 2 {
                // Reserves the rest at once: growing in steps fragments the heap.
                self.buffer.reserve(CHUNK_SIZE - self.buffer.len());
            }
            self.buffer.extend_from_slice(&part);
            self.written += part.len() as u64;
        }
        Ok(())
    }

    async fn commit_blob(mut self, expected: Option<&Digest>) -> Result<Descriptor> {
        if !matches!(self.state, IngestState::Undecided(_)) && !self.buffer.is_empty() {
            self.send().await?;
        }
        let state = self.take_state().await?;
        let found = match &state {
            IngestState::Undecided(hasher) => {
                // Content of at most one chunk was never sent, so it is hashed here.
                let mut hasher = hasher.clone();
                hasher.update(&self.buffer);
                hasher.finish()
            }
            IngestState::Session(_, hasher) | IngestState::Spooled(_, hasher) => hasher.clone().finish(),
            IngestState::Sending(_) | IngestState::Failed => return Err(failed_before()),
        };
        // The registry verifies a digest of another algorithm.
        let digest = match expected {
            Some(expected) if expected.algorithm_name() != found.algorithm_name() => expected.clone(),
            Some(expected) if *expected != found => {
                if let IngestState::Session(mut uploader, _) = state {
                    uploader.abandon().await;
                }
                let message = format!("mismatched digest: expected {expected}, got {found}");
                return Err(Error::new(ErrorKind::DigestMismatch, message));
            }
            _ => found,
        };
        let node = Descriptor::new(self.media_type.clone(), digest, self.written);
        match state {
            IngestState::Session(mut uploader, _) => uploader.finish(&node.digest).await?,
            IngestState::Spooled(file, _) => {
                let size = self.written;
                let opener = move |offset| {
                    let stream =
                        oras_fs::read(Arc::clone(&file), offset..size, "a temporary file".to_owned());
                    async move { Ok(stream) }.boxed()
                };
                let content = UnhashedContent::new(self.media_type, size, Arc::new(opener));
                self.repository.push_hashed(&Payload::undigested(content), &node).await?;
            }
            _ => {
                let content = Content::from_bytes(node.clone(), self.buffer.freeze())?;
                self.repository.push_hashed(&Payload::content(content), &node).await?;
            }
        }
        Ok(node)
    }

    async fn commit_manifest(self, expected: Option<&Digest>) -> Result<Descriptor> {
        let bytes = self.buffer.freeze();
        let digest = expected.cloned().unwrap_or_else(|| Digest::of(self.algorithm, &bytes));
        let node = Descriptor::new(self.media_type, digest, bytes.len() as u64);
        // Parses before the upload, because a registry may accept a malformed manifest.
        Manifest::parse(&node.media_type, bytes.clone())?;
        let content = Content::from_bytes(node.clone(), bytes)?;
        let reference = self.repository.reference_to(&node.digest.to_string())?;
        self.repository.store_manifest(&content, &reference, Verify::Now).await?;
        Ok(node)
    }
}

#[async_trait]
impl Ingest for ChunkedIngest {
    async fn write(&mut self, chunks: Vec<Bytes>) -> Result<()> {
        for chunk in chunks {
            self.append(chunk).await?;
        }
        Ok(())
    }

    /// Returns the size alone: the bytes that were sent cannot be read before they are committed.
    fn pause(&mut self) -> Written {
        Written { size: self.written, read_back: None }
    }

    async fn commit(self: Box<Self>, expected: Option<&Digest>) -> Result<Descriptor> {
        if self.media_type.is_manifest() {
            return self.commit_manifest(expected).await;
        }
        self.commit_blob(expected).await
    }

    async fn abort(mut self: Box<Self>) {
        if let Ok(IngestState::Session(mut uploader, _)) = self.take_state().await {
            uploader.abandon().await;
        }
    }
}

/// Sends a chunk and hashes it concurrently.
async fn forward(mut uploader: Box<BlobUploader>, hasher: Hasher, chunk: Bytes) -> Result<IngestState> {
    let bytes = chunk.clone();
    // The clone is hashed, because after a refused `PATCH` the chunk is hashed again when it is spooled.
    let mut before = hasher.clone();
    let hashing = oras_fs::blocking(move || {
        before.update(&bytes);
        Ok(before)
    });
    let (filled, hashed) = join(uploader.fill(), hashing).await;
    match filled {
        Ok(()) => Ok(IngestState::Session(uploader, hashed?)),
        Err(FillError::NoPatch) => spool(None, hasher, chunk).await,
        Err(FillError::Failed(error)) => Err(error),
    }
}

/// Appends a chunk to the file, which is created if needed.
async fn spool(file: Option<Arc<File>>, mut hasher: Hasher, chunk: Bytes) -> Result<IngestState> {
    oras_fs::blocking(move || {
        let failed = |error| Error::io("failed to write a temporary file", error);
        let file = match file {
            Some(file) => file,
            // The file has no name, so the system deletes it even if the process is killed.
            None => Arc::new(tempfile::tempfile().map_err(failed)?),
        };
        (&*file).write_all(&chunk).map_err(failed)?;
        hasher.update(&chunk);
        Ok(IngestState::Spooled(file, hasher))
    })
    .await
}

fn failed_before() -> Error {
    Error::new(ErrorKind::Other, "the upload has failed before")
}
