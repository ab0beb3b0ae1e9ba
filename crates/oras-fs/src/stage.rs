//! Stages content: writes it to a file without its final name, and verifies it.

use std::fs::File;
use std::path::Path;

use crate::partial_file::is_resumable;
use crate::{Durability, PartialFile, StagedFile, blocking, write_verified};
use oras_store::{Content, Result};

/// Writes `content` to a staged file in `directory`, and verifies size and digest. Memory is bounded for content of
/// any size.
///
/// Content of at least 4 MiB that can be read from an offset is written to a [`PartialFile`]. That file stays if the
/// transfer breaks or the future is dropped, and the next call for the same content resumes. All other content leaves
/// no file.
///
/// # Errors
/// The errors of reading the content, `DigestMismatch` or `SizeMismatch`, or `Io`, for example if the disk is full.
pub async fn stage(content: &Content, directory: &Path, durability: Durability) -> Result<StagedFile> {
    if is_resumable(content) {
        let (path, wanted) = (directory.to_owned(), content.clone());
        let claim = move || PartialFile::claim(&File::open(&path).ok()?, &path, &wanted);
        if let Some(partial) = blocking(move || Ok(claim())).await? {
            let name = partial.path().display().to_string();
            let complete = partial.resume(content).await?.write(name, durability).await?;
            return Ok(StagedFile::from_partial(complete));
        }
    }
    let directory = directory.to_owned();
    let mut staged = blocking(move || StagedFile::create(&directory)).await?;
    if durability == Durability::Synced {
        staged.flush_while_written();
    }
    let name = staged.path().display().to_string();
    let finish = move |mut staged: StagedFile| {
        if durability == Durability::Synced {
            staged.sync()?;
        }
        Ok(staged)
    };
    write_verified(content, staged, name, finish).await
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use bytes::Bytes;
    use futures::{StreamExt, TryStreamExt};
    use oras_spec::{Descriptor, MediaType};

    use super::*;
    use crate::chunk_size::CHUNK;
    use crate::read::read;
    use oras_store::{ByteStream, Error, ErrorKind};

    fn count_files(directory: &Path) -> usize {
        fs::read_dir(directory).unwrap().count()
    }

    fn chunks(bytes: &Bytes, size: usize) -> ByteStream {
        let chunks: Vec<_> = bytes.chunks(size).map(|chunk| Ok(bytes.slice_ref(chunk))).collect();
        futures::stream::iter(chunks).boxed()
    }

    #[tokio::test]
    async fn verifies_and_publishes_content() {
        let directory = tempfile::tempdir().unwrap();
        for size in [0, 5, CHUNK, CHUNK + 1, 3 * CHUNK + 7] {
            let bytes = Bytes::from(vec![7; size]);
            let content =
                Content::once(Descriptor::of(MediaType::LAYER_TAR, &bytes), chunks(&bytes, 100_000));
            let staged = stage(&content, directory.path(), Durability::Synced).await.unwrap();
            let path = directory.path().join("final");
            staged.publish(&path).unwrap();
            let written: Vec<_> =
                read(File::open(&path).unwrap(), 0..size as u64, "f".into()).try_collect().await.unwrap();
            assert_eq!(written.concat(), bytes);
        }
        assert_eq!(count_files(directory.path()), 1);
    }

    #[tokio::test]
    async fn leaves_no_file_after_wrong_content() {
        let directory = tempfile::tempdir().unwrap();
        for size in [5, 2 * CHUNK] {
            let good = Bytes::from(vec![7; size]);
            let descriptor = Descriptor::of(MediaType::LAYER_TAR, &good);
            let mut wrong = good.to_vec();
            wrong[3] = 8;
            let wrong = Bytes::from(wrong);
            let longer = Bytes::from(vec![7; size + 1]);
            for (bytes, kind) in [
                (&wrong, ErrorKind::DigestMismatch),
                (&good.slice(1..), ErrorKind::SizeMismatch),
                (&longer, ErrorKind::SizeMismatch),
            ] {
                let content = Content::once(descriptor.clone(), chunks(bytes, 70_000));
                let error = stage(&content, directory.path(), Durability::Relaxed).await.unwrap_err();
                assert_eq!(error.kind(), kind);
            }
            let interrupted =
                futures::stream::iter([Ok(good.slice(..2)), Err(Error::new(ErrorKind::Network, "cut"))])
                    .boxed();
            let error =
                stage(&Content::once(descriptor, interrupted), directory.path(), Durability::Relaxed).await;
            assert_eq!(error.unwrap_err().kind(), ErrorKind::Network);
        }
        assert_eq!(count_files(directory.path()), 0);
    }
}
