//! Resumes a partial file: fetches, writes and verifies the missing bytes.

use std::sync::Arc;

use crate::write_verified::write_stream;
use crate::{Durability, PartialFile, StagedFile, blocking};
use oras_store::{ByteStream, Content, Error, ErrorKind, Result, Verifier};

/// A partial file and an open stream of the missing bytes. [`PartialFile::resume`] makes it, and
/// [`ResumedWrite::write`] completes the file.
pub struct ResumedWrite {
    content: Content,
    partial: PartialFile,
    /// The verifier, which has hashed the bytes of the partial file.
    verifier: Verifier,
    offset: u64,
    stream: ByteStream,
}

impl PartialFile {
    /// Hashes the existing bytes, reports them as progress, and opens `content` at the first missing byte.
    ///
    /// If the content cannot be opened at that offset, the file is truncated and the content is opened from its
    /// beginning.
    ///
    /// # Errors
    /// The errors of opening the content. The partial file stays then.
    pub async fn resume(self, content: &Content) -> Result<ResumedWrite> {
        let (descriptor, content) = (content.descriptor(), content.clone());
        let size = descriptor.size;
        let verifier = Verifier::new(descriptor)?;
        let (partial, verifier, offset) = blocking(move || self.rehash(verifier, size)).await?;
        // A complete file needs no request. Its digest is still verified.
        let opened = if offset == size && size > 0 {
            Ok(Box::pin(futures::stream::empty()) as ByteStream)
        } else {
            content.unverified(offset..size).await
        };
        match opened {
            Ok(stream) => {
                content.report_present(offset);
                Ok(ResumedWrite { content, partial, verifier, offset, stream })
            }
            Err(error) if offset > 0 && can_retry_from_start(&error) => partial.restart(content).await,
            Err(error) => Err(error),
        }
    }

    /// Truncates the file and opens `content` from its beginning.
    async fn restart(self, content: Content) -> Result<ResumedWrite> {
        let partial = blocking(move || self.truncate().map(|()| self)).await?;
        let verifier = Verifier::new(content.descriptor())?;
        let stream = content.unverified(0..content.descriptor().size).await?;
        Ok(ResumedWrite { content, partial, verifier, offset: 0, stream })
    }

    async fn append(
        &self,
        stream: ByteStream,
        verifier: Verifier,
        name: String,
        durability: Durability,
    ) -> Result<()> {
        let mut staged = StagedFile::from_partial(self.try_clone()?);
        if durability == Durability::Relaxed {
            return write_stream(stream, verifier, staged, name).await.map(drop);
        }
        staged.flush_while_written();
        let mut staged = write_stream(stream, verifier, staged, name).await?;
        blocking(move || staged.sync()).await
    }
}

impl ResumedWrite {
    /// Writes the missing bytes, verifies the content, and returns the complete file. Write errors contain `name`.
    ///
    /// With [`Durability::Synced`] the file is flushed, most of it while it is being written. If the complete file does
    /// not match the descriptor and some bytes came from an earlier run, all bytes are fetched again. The file stays
    /// after a network error and if the future is dropped, and is deleted after other errors.
    ///
    /// # Errors
    /// The errors of reading the content, `DigestMismatch` or `SizeMismatch`, or `Io`.
    pub async fn write(self, name: String, durability: Durability) -> Result<PartialFile> {
        let mut attempt = self;
        loop {
            let Self { content, partial, verifier, offset, stream } = attempt;
            let error = match partial.append(stream, verifier, name.clone(), durability).await {
                Ok(()) => return Ok(partial),
                Err(error) => error,
            };
            let is_mismatch = matches!(error.kind(), ErrorKind::DigestMismatch | ErrorKind::SizeMismatch);
            if offset == 0 || !is_mismatch {
                // After a network error the next run resumes the file. After any other error the bytes may be wrong or
                // the disk full, so the file is deleted.
                if error.kind() != ErrorKind::Network {
                    partial.discard();
                }
                return Err(error);
            }
            // The bytes of the earlier run may be wrong, so the second attempt fetches all bytes. Its offset is 0, so
            // there is no third attempt. The bytes were already reported as progress.
            attempt = partial.restart(content.with_progress(Arc::new(|_| {}))).await?;
        }
    }
}

/// Returns true if `error` may be caused by the offset, so that opening the content from its beginning may succeed.
fn can_retry_from_start(error: &Error) -> bool {
    // Errors of these kinds do not depend on the offset, so a second request would fail, too.
    !matches!(
        error.kind(),
        ErrorKind::Network | ErrorKind::NotFound | ErrorKind::Unauthorized | ErrorKind::Denied
    )
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::Write;
    use std::ops::Range;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::{Path, PathBuf};

    use async_trait::async_trait;
    use bytes::Bytes;
    use futures::StreamExt;
    use oras_spec::{Descriptor, Digest, MediaType};

    use super::*;
    use crate::Mutex;
    use crate::partial_dir::PARTIAL_DIR_NAME;
    use crate::stage::stage;
    use oras_store::{ProgressUpdate, Source};

    /// Sends `bytes` up to `end`, where the network fails, and records the requested ranges.
    struct InterruptedSource {
        bytes: Bytes,
        end: usize,
        requested: Mutex<Vec<Range<u64>>>,
    }

    #[async_trait]
    impl Source for InterruptedSource {
        async fn resolve(&self, reference: &str) -> Result<Descriptor> {
            Err(Error::not_found(reference))
        }

        async fn fetch(&self, _: &Descriptor, range: Range<u64>) -> Result<ByteStream> {
            self.requested.lock().push(range.clone());
            let start = usize::try_from(range.start).unwrap();
            let mut chunks: Vec<_> = self.bytes[start..self.end]
                .chunks(100_000)
                .map(|chunk| Ok(Bytes::copy_from_slice(chunk)))
                .collect();
            if self.end < self.bytes.len() {
                chunks.push(Err(Error::new(ErrorKind::Network, "cut")));
            }
            Ok(futures::stream::iter(chunks).boxed())
        }
    }

    const SIZE: usize = 5 << 20;

    fn bytes() -> Bytes {
        (0..SIZE).map(|at| u8::try_from(at * 7 % 251).unwrap()).collect::<Vec<_>>().into()
    }

    /// Returns a source that sends `sent` up to `end`, and its content with the descriptor of `bytes()`.
    fn interrupted_content(sent: &Bytes, end: usize) -> (Arc<InterruptedSource>, Content) {
        let source = Arc::new(InterruptedSource { bytes: sent.clone(), end, requested: Mutex::default() });
        let content =
            Content::from_source(Arc::clone(&source) as _, Descriptor::of(MediaType::LAYER_TAR, &bytes()));
        (source, content)
    }

    fn requested(source: &InterruptedSource) -> Vec<Range<u64>> {
        source.requested.lock().clone()
    }

    fn partial_path(directory: &Path) -> PathBuf {
        let digest = Digest::sha256(&bytes());
        directory.join(PARTIAL_DIR_NAME).join(format!("sha256-{}", digest.encoded()))
    }

    fn count_entries(directory: &Path) -> usize {
        fs::read_dir(directory).unwrap().count()
    }

    #[tokio::test]
    async fn resumes_after_network_error() {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        let (_, content) = interrupted_content(&bytes(), 3 << 20);
        let error = stage(&content, at, Durability::Relaxed).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Network);
        assert_eq!(fs::metadata(partial_path(at)).unwrap().len(), 3 << 20);
        assert_eq!(fs::metadata(at.join(PARTIAL_DIR_NAME)).unwrap().permissions().mode() & 0o777, 0o700);

        let (source, content) = interrupted_content(&bytes(), SIZE);
        let reported = Arc::new(Mutex::new(Vec::new()));
        let count = Arc::clone(&reported);
        let content = content.with_progress(Arc::new(move |update| count.lock().push(update)));
        let staged = stage(&content, at, Durability::Synced).await.unwrap();
        assert_eq!((requested(&source).len(), requested(&source).last()), (1, Some(&(3 << 20..SIZE as u64))));
        let (updates, present) = (std::mem::take(&mut *reported.lock()), 3 << 20);
        assert_eq!(updates[0], ProgressUpdate::Present(present));
        let transferred = updates[1..].iter().map(|update| match update {
            ProgressUpdate::Transferred(bytes) => *bytes,
            ProgressUpdate::Present(_) => panic!("{updates:?}"),
        });
        assert_eq!(transferred.sum::<u64>(), SIZE as u64 - present);
        staged.publish(&at.join("final")).unwrap();
        assert_eq!(fs::read(at.join("final")).unwrap(), bytes());
        assert_eq!(count_entries(at), 1);
    }

    #[tokio::test]
    async fn fetches_all_bytes_again_if_the_partial_file_is_wrong() {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        for wrong in [vec![9; 2 << 20], vec![9; SIZE], vec![9; SIZE + 1]] {
            let (_, content) = interrupted_content(&bytes(), 2 << 20);
            stage(&content, at, Durability::Relaxed).await.unwrap_err();
            let file = fs::OpenOptions::new().write(true).truncate(true).open(partial_path(at));
            file.unwrap().write_all(&wrong).unwrap();
            let (source, content) = interrupted_content(&bytes(), SIZE);
            let staged = stage(&content, at, Durability::Relaxed).await.unwrap();
            assert_eq!(requested(&source).last(), Some(&(0..SIZE as u64)), "{}", wrong.len());
            staged.publish(&at.join("final")).unwrap();
            assert_eq!(fs::read(at.join("final")).unwrap(), bytes());
        }
    }

    #[tokio::test]
    async fn leaves_no_file_after_wrong_or_short_content() {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        let (_, content) = interrupted_content(&vec![1; SIZE].into(), SIZE);
        let error = stage(&content, at, Durability::Relaxed).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DigestMismatch);
        let (_, content) = interrupted_content(&bytes(), 900_000);
        let error = stage(&content, at, Durability::Relaxed).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Network);
        assert_eq!(count_entries(at), 0);
    }

    #[tokio::test]
    async fn uses_temporary_file_while_partial_file_is_claimed() {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        let (_, content) = interrupted_content(&bytes(), SIZE);
        let parent = File::open(at).unwrap();
        let claimed = PartialFile::claim(&parent, at, &content).unwrap();
        assert!(PartialFile::claim(&parent, at, &content).is_none());
        let lock = File::open(at.join(PARTIAL_DIR_NAME)).unwrap();
        assert!(lock.try_lock().is_err(), "the directory is locked against other processes");
        // The content is staged in a temporary file instead.
        let staged = stage(&content, at, Durability::Relaxed).await.unwrap();
        assert!(!staged.path().starts_with(at.join(PARTIAL_DIR_NAME)));
        drop((claimed, staged, lock));
        assert_eq!(count_entries(at), 0);
    }

    #[tokio::test]
    async fn does_not_write_through_planted_links() {
        let directory = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let at = directory.path();
        let (_, content) = interrupted_content(&bytes(), SIZE);
        let stage_content = async || {
            let staged = stage(&content, at, Durability::Relaxed).await.unwrap();
            staged.publish(&at.join("final")).unwrap();
            assert_eq!(fs::read(at.join("final")).unwrap(), bytes());
        };
        symlink(elsewhere.path(), at.join(PARTIAL_DIR_NAME)).unwrap();
        stage_content().await;
        fs::remove_file(at.join(PARTIAL_DIR_NAME)).unwrap();

        // A directory that other users can enter.
        fs::create_dir(at.join(PARTIAL_DIR_NAME)).unwrap();
        fs::set_permissions(at.join(PARTIAL_DIR_NAME), PermissionsExt::from_mode(0o755)).unwrap();
        stage_content().await;
        assert_eq!(count_entries(&at.join(PARTIAL_DIR_NAME)), 0);

        fs::set_permissions(at.join(PARTIAL_DIR_NAME), PermissionsExt::from_mode(0o700)).unwrap();
        let victim = elsewhere.path().join("victim");
        crate::replace::replace(&victim, b"mine", 0o666).unwrap();
        symlink(&victim, partial_path(at)).unwrap();
        stage_content().await;
        fs::remove_file(partial_path(at)).unwrap();
        fs::hard_link(&victim, partial_path(at)).unwrap();
        stage_content().await;
        assert_eq!(fs::read(&victim).unwrap(), b"mine");
    }
}
