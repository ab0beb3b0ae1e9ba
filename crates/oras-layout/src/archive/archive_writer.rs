//! A tar archive as a target: writes a layout into it while the content arrives.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use oras_fs::{Mutex, blocking};
use oras_spec::layout::INDEX_FILE;
use oras_spec::{Descriptor, Digest};
use oras_store::{Content, Error, ErrorKind, PushMode, Pushed, Result, Target};
use tokio::sync::OwnedMutexGuard;

use super::tar_output::{BlobEntry, TarOutput, TarOutputGuard};
use crate::checked_manifest::checked;
use crate::index::{Index, IndexChange};
use crate::size_limits;

/// Content of at most this size in bytes is fetched into memory while other content is written.
const SMALL: u64 = 1024 * 1024;

/// A tar archive that becomes an OCI image layout. It cannot be read before it is finished. Use it as the target of a
/// copy, such as a backup.
///
/// Content is written to the archive as it arrives, each digest once, without a temporary copy. One blob is
/// written at a time. While it is written, small content is fetched into bounded memory. Content that fails
/// verification is overwritten by the next entry. The archive is published by [`ArchiveWriter::finish`]:
/// dropping the writer before leaves no file, and an existing file stays.
///
/// The entries are `blobs/`, `blobs/sha256/`, the blobs (mode 0444), `index.json` and `oci-layout`, as in a backup of
/// the Go tool. But blobs are in the order in which they arrive, not sorted, and owners and times are 0.
#[derive(Clone, Debug)]
pub struct ArchiveWriter {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    /// Locked while a blob is written; `None` once the archive is finished.
    output: Arc<tokio::sync::Mutex<Option<TarOutput>>>,
    contents: Arc<Mutex<WrittenContents>>,
}

/// What the archive contains.
#[derive(Debug, Default)]
struct WrittenContents {
    /// The size of each blob.
    blobs: HashMap<Digest, u64>,
    index: Index,
}

impl ArchiveWriter {
    /// Begins the archive at `path`, in a staged file beside it. If a file is replaced, the archive gets its
    /// permissions.
    ///
    /// # Errors
    /// `AlreadyExists` if the path exists and is not a file; `Io` if the parent directory is missing or cannot be
    /// written.
    pub async fn create(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let (output, path) = blocking(move || TarOutput::create(&path)).await?;
        let output = Arc::new(tokio::sync::Mutex::new(Some(output)));
        Ok(Self { inner: Arc::new(Inner { path, output, contents: Arc::default() }) })
    }

    /// Completes the archive, flushes it to the disk and publishes it. Returns its size in bytes.
    ///
    /// # Errors
    /// `TooLarge` for the index; `Io`. No archive is published then, and an existing file stays as it was.
    pub async fn finish(&self) -> Result<u64> {
        let output = self.inner.output.lock().await.take().ok_or_else(already_finished)?;
        // Taking the output makes every later push fail, so the archive cannot change after its index is written.
        let index = self.inner.contents.lock().index.to_bytes();
        let path = self.inner.path.clone();
        size_limits::check_index(&format!("{INDEX_FILE} in {}", path.display()), &index)?;
        blocking(move || output.finish(&index, &path)).await
    }

    async fn lock_output(&self) -> Result<TarOutputGuard> {
        let output = Arc::clone(&self.inner.output).lock_owned().await;
        OwnedMutexGuard::try_map(output, Option::as_mut).map_err(|_| already_finished())
    }

    fn contains(&self, node: &Descriptor) -> bool {
        self.inner.contents.lock().blobs.get(&node.digest) == Some(&node.size)
    }

    /// Writes `content` unless the archive contains it, and applies `change` to the index.
    ///
    /// Both happen under the lock of the output: otherwise [`ArchiveWriter::finish`] could write the index in between,
    /// and the change would be lost without an error.
    async fn write(&self, content: &Content, change: Option<IndexChange>) -> Result<Pushed> {
        let node = content.descriptor().clone();
        let is_present = self.contains(&node);
        if is_present && change.is_none() {
            return Ok(Pushed::Existed);
        }
        // Fetched before the lock is taken, so that several small blobs are fetched at the same time.
        let content = if !is_present && node.size <= SMALL && content.in_memory().is_none() {
            &Content::from_bytes(node.clone(), content.bytes(SMALL).await?)?
        } else {
            content
        };
        let output = self.lock_output().await?;
        // Another push may have written the blob while this one waited for the lock.
        if self.contains(&node) {
            self.inner.contents.lock().apply(change.as_ref());
            return Ok(Pushed::Existed);
        }
        // The writing thread owns the lock, so that dropping this future does not let another blob start before it
        // ends.
        let entry = BlobEntry::new(output, node);
        let contents = Arc::clone(&self.inner.contents);
        let name = self.inner.path.display().to_string();
        let complete = move |mut entry: BlobEntry| {
            entry.complete()?;
            let mut contents = contents.lock();
            contents.blobs.insert(entry.node.digest.clone(), entry.node.size);
            contents.apply(change.as_ref());
            Ok(())
        };
        oras_fs::write_verified(content, entry, name, complete).await?;
        Ok(Pushed::Copied)
    }
}

impl WrittenContents {
    fn apply(&mut self, change: Option<&IndexChange>) {
        if let Some(change) = change {
            self.index.apply(change);
        }
    }
}

fn already_finished() -> Error {
    Error::new(ErrorKind::Unsupported, "the archive is finished")
}

#[async_trait]
impl Target for ArchiveWriter {
    async fn exists(&self, descriptor: &Descriptor) -> Result<bool> {
        Ok(self.contains(descriptor))
    }

    async fn push(&self, content: &Content, mode: PushMode<'_>) -> Result<Pushed> {
        let node = content.descriptor();
        let list = || IndexChange::List(node.clone());
        let (PushMode::Tagged(tag) | PushMode::AddTag(tag)) = mode else {
            let change = node.media_type.is_manifest().then(list);
            return self.write(&checked(content).await?, change).await;
        };
        let is_digest = tag.parse::<Digest>().is_ok_and(|digest| digest == node.digest);
        let change = if is_digest { list() } else { IndexChange::Tag(node.clone(), tag.to_owned()) };
        // A blob that the archive has was checked when it was written, so it is not read again.
        let content = if self.contains(node) { content } else { &checked(content).await? };
        self.write(content, Some(change)).await
    }
}
