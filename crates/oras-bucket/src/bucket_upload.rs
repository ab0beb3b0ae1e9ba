//! Content whose digest is known only at the end.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher as _};

use async_trait::async_trait;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{GetOptions, ObjectStoreExt, WriteMultipart};
use oras_spec::{Algorithm, Descriptor, Digest, Hasher, MediaType};
use oras_store::bytes::{Bytes, BytesMut};
use oras_store::{Content, Error, ErrorKind, Ingest, MAX_MANIFEST_SIZE, Pushed, Result, Written};

use crate::Bucket;
use crate::errors::failed;
use crate::push_blob::{finish, put_chunk};

/// The largest object that S3 copies in one request.
const MAX_COPY_SIZE: u64 = 5 << 30;

/// Content that is written in pieces: in memory up to the size of a part, and then under a staging key.
pub(crate) struct BucketUpload {
    bucket: Bucket,
    media_type: MediaType,
    hasher: Hasher,
    algorithm: Algorithm,
    size: u64,
    buffer: BytesMut,
    staged: Option<StagedUpload>,
}

struct StagedUpload {
    key: Path,
    parts: WriteMultipart,
}

impl BucketUpload {
    pub(crate) fn new(bucket: Bucket, media_type: MediaType, algorithm: Algorithm) -> Self {
        let hasher = Hasher::new(algorithm);
        Self { bucket, media_type, hasher, algorithm, size: 0, buffer: BytesMut::new(), staged: None }
    }

    async fn append(&mut self, chunk: Bytes) -> Result<()> {
        self.size += chunk.len() as u64;
        if self.media_type.is_manifest() && self.size > MAX_MANIFEST_SIZE {
            let message = format!("the manifest exceeds the limit of {MAX_MANIFEST_SIZE} bytes");
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        self.hasher.update(&chunk);
        if self.staged.is_none() {
            let is_small = self.buffer.len() + chunk.len() <= self.bucket.options().part_size;
            if is_small || self.media_type.is_manifest() {
                self.buffer.extend_from_slice(&chunk);
                return Ok(());
            }
            let key = self.bucket.keys().upload(&unique_name());
            // The size is not known: parts of the default size are enough for 70 GiB.
            let parts = self.bucket.begin_parts(&key, 0).await?;
            self.staged = Some(StagedUpload { key, parts });
        }
        let Some(staged) = &mut self.staged else { return Ok(()) };
        let buffered = std::mem::take(&mut self.buffer).freeze();
        put_chunk(&mut staged.parts, buffered, &staged.key).await?;
        put_chunk(&mut staged.parts, chunk, &staged.key).await
    }

    /// Aborts the upload of the parts. Errors are ignored, because the caller already has one or gives up.
    async fn discard(self) {
        if let Some(staged) = self.staged {
            drop(staged.parts.abort().await);
        }
    }

    async fn publish(mut self, expected: Option<&Digest>) -> Result<(Descriptor, Pushed)> {
        let hasher = std::mem::replace(&mut self.hasher, Hasher::new(self.algorithm));
        let digest = hasher.finish();
        let algorithm = expected.and_then(Digest::algorithm).unwrap_or(self.algorithm);
        // A wrong digest of the same algorithm is found before the parts become an object.
        if algorithm == self.algorithm && expected.is_some_and(|expected| *expected != digest) {
            let error = mismatch(expected, &digest);
            self.discard().await;
            return Err(error);
        }
        let Some(staged) = self.staged else {
            let bytes = self.buffer.freeze();
            let digest = if algorithm == self.algorithm { digest } else { Digest::of(algorithm, &bytes) };
            if expected.is_some_and(|expected| *expected != digest) {
                return Err(mismatch(expected, &digest));
            }
            let node = Descriptor::new(self.media_type, digest, bytes.len() as u64);
            let content = Content::from_bytes(node.clone(), bytes)?;
            let pushed = if node.media_type.is_manifest() {
                let pushed = self.bucket.push_manifest_content(&content).await?;
                self.bucket.update_index().await?;
                pushed
            } else {
                self.bucket.push_blob_content(&content).await?
            };
            return Ok((node, pushed));
        };
        finish(staged.parts, &staged.key).await?;
        let published = async {
            let digest = if algorithm == self.algorithm {
                digest
            } else {
                self.bucket.hash_object(&staged.key, algorithm).await?
            };
            if expected.is_some_and(|expected| *expected != digest) {
                return Err(mismatch(expected, &digest));
            }
            let node = Descriptor::new(self.media_type, digest, self.size);
            let pushed = self.bucket.publish_staged(&staged.key, &node).await?;
            Ok((node, pushed))
        };
        let published = published.await;
        let deleted = self.bucket.delete_object(&staged.key).await;
        let published = published?;
        deleted?;
        Ok(published)
    }
}

impl Bucket {
    async fn hash_object(&self, key: &Path, algorithm: Algorithm) -> Result<Digest> {
        let result = self.store().get_opts(key, GetOptions::default()).await;
        let mut stream = result.map_err(|error| failed("read", key, error))?.into_stream();
        let mut hasher = Hasher::new(algorithm);
        while let Some(chunk) = stream.try_next().await.map_err(|error| failed("read", key, error))? {
            hasher.update(&chunk);
        }
        Ok(hasher.finish())
    }

    /// Copies a staged object, whose digest is verified, to its final key.
    async fn publish_staged(&self, staged: &Path, node: &Descriptor) -> Result<Pushed> {
        let key = self.keys().blob(&node.digest);
        if self.size(&key).await? == Some(node.size) {
            return Ok(Pushed::Existed);
        }
        if node.size <= MAX_COPY_SIZE {
            self.store().copy(staged, &key).await.map_err(|error| failed("write", &key, error))?;
            return Ok(Pushed::Copied);
        }
        // `object_store` has no copy in parts, so larger content is downloaded and uploaded again.
        let result = self.store().get_opts(staged, GetOptions::default()).await;
        let stream = result.map_err(|error| failed("read", staged, error))?.into_stream();
        let from = staged.clone();
        let stream = stream.map_err(move |error| failed("read", &from, error));
        self.send_parts(&Content::once(node.clone(), Box::pin(stream)), &key).await?;
        Ok(Pushed::Copied)
    }
}

#[async_trait]
impl Ingest for BucketUpload {
    async fn write(&mut self, chunks: Vec<Bytes>) -> Result<()> {
        for chunk in chunks {
            if let Err(error) = self.append(chunk).await {
                // Only a request can abort the upload, and a drop cannot wait for one.
                if let Some(staged) = self.staged.take() {
                    drop(staged.parts.abort().await);
                }
                return Err(error);
            }
        }
        Ok(())
    }

    fn pause(&mut self) -> Written {
        Written { size: self.size, read_back: None }
    }

    async fn commit(self: Box<Self>, expected: Option<&Digest>) -> Result<Descriptor> {
        self.publish(expected).await.map(|(node, _)| node)
    }

    async fn abort(self: Box<Self>) {
        self.discard().await;
    }
}

/// Returns a random name, which no other upload has.
pub(crate) fn unique_name() -> String {
    // The keys of the standard library's hash maps are random, so no other crate is needed.
    let random = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", random(), random())
}

fn mismatch(expected: Option<&Digest>, found: &Digest) -> Error {
    let expected = expected.map(ToString::to_string).unwrap_or_default();
    Error::new(ErrorKind::DigestMismatch, format!("mismatched digest: expected {expected}, got {found}"))
}
