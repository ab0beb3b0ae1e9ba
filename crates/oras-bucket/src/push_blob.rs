//! Writes blobs whose digest is known to their final keys.

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutMode, WriteMultipart};
use oras_store::bytes::Bytes;
use oras_store::{Content, Pushed, Result};

use crate::Bucket;
use crate::errors::failed;

/// Up to this size, a create-only put replaces the request that checks for existing content. A larger blob would be
/// sent in vain too often.
const MAX_UNCHECKED_SIZE: u64 = 16 << 10;

/// The parts of one blob that are sent at the same time.
const PARTS_IN_FLIGHT: usize = 4;

/// S3 permits 10,000 parts. The rest is a reserve for other stores.
const MAX_PARTS: u64 = 9_000;

impl Bucket {
    /// Stores a blob, unless the bucket has it. It is visible only after its digest was verified.
    pub(crate) async fn push_blob_content(&self, content: &Content) -> Result<Pushed> {
        let node = content.descriptor();
        let key = self.keys().blob(&node.digest);
        let is_unchecked = node.size <= MAX_UNCHECKED_SIZE && !self.options().single_writer;
        if !is_unchecked && self.size(&key).await? == Some(node.size) {
            content.report_present(node.size);
            return Ok(Pushed::Existed);
        }
        self.ensure_marker().await?;
        if node.size <= self.options().part_size as u64 {
            // `bytes` returns only verified bytes.
            let bytes = content.bytes(node.size).await?;
            return self.put_blob(&key, bytes).await;
        }
        self.send_parts(content, &key).await?;
        Ok(Pushed::Copied)
    }

    /// Stores verified bytes in one request, or in one more request if the object already exists.
    pub(crate) async fn put_blob(&self, key: &Path, bytes: Bytes) -> Result<Pushed> {
        if !self.options().single_writer {
            match self.store().put_opts(key, bytes.clone().into(), PutMode::Create.into()).await {
                Ok(_) => return Ok(Pushed::Copied),
                // S3 also reports this while another put is in progress, which may still fail. An object of another
                // size is damaged.
                Err(object_store::Error::AlreadyExists { .. }) => {
                    if self.size(key).await? == Some(bytes.len() as u64) {
                        return Ok(Pushed::Existed);
                    }
                }
                Err(error) => return Err(failed("write", key, error)),
            }
        }
        self.put(key, bytes.into(), PutMode::Overwrite).await?;
        Ok(Pushed::Copied)
    }

    /// Uploads content in parts to `key`. The store shows the object when the upload is completed, which happens only if
    /// the digest matches.
    pub(crate) async fn send_parts(&self, content: &Content, key: &Path) -> Result<()> {
        let mut upload = self.begin_parts(key, content.descriptor().size).await?;
        match send(content, &mut upload, key).await {
            Ok(()) => finish(upload, key).await,
            Err(error) => {
                // The error of the transfer is more useful than that of the abort.
                drop(upload.abort().await);
                Err(error)
            }
        }
    }

    /// Begins an upload of about `size` bytes in parts.
    pub(crate) async fn begin_parts(&self, key: &Path, size: u64) -> Result<WriteMultipart> {
        let upload = self.store().put_multipart(key).await.map_err(|error| failed("write", key, error))?;
        let part_size = size.div_ceil(MAX_PARTS).max(self.options().part_size as u64);
        let part_size = usize::try_from(part_size).unwrap_or(usize::MAX);
        Ok(WriteMultipart::new_with_chunk_size(upload, part_size))
    }
}

async fn send(content: &Content, upload: &mut WriteMultipart, key: &Path) -> Result<()> {
    let mut stream = content.reader().await?;
    while let Some(chunk) = stream.try_next().await? {
        put_chunk(upload, chunk, key).await?;
    }
    Ok(())
}

/// Adds a chunk to an upload, and waits while too many parts are in flight.
pub(crate) async fn put_chunk(upload: &mut WriteMultipart, chunk: Bytes, key: &Path) -> Result<()> {
    upload.wait_for_capacity(PARTS_IN_FLIGHT).await.map_err(|error| failed("write", key, error))?;
    upload.put(chunk);
    Ok(())
}

/// Completes an upload. If that fails, the upload is aborted.
pub(crate) async fn finish(upload: WriteMultipart, key: &Path) -> Result<()> {
    upload.finish().await.map(drop).map_err(|error| failed("write", key, error))
}
