//! Content on its way into a file: hashed and written on blocking threads while it arrives.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;
use tokio::sync::mpsc;

use super::partial_file::{self, PartialFile};
use super::{CHUNK, Durability, QUEUE, StagedFile, blocking};
use oras_store::{ByteStream, Content, Error, ErrorKind, Result, Verifier};

/// Writes `content` into a staged file in `directory`, verified: hashing and writing on a blocking thread while
/// the bytes arrive. Memory is bounded whatever the size.
///
/// Content of some size that can be opened from an offset goes to a [`PartialFile`], which stays when the transfer breaks
/// and the next one goes on with. Of all other content nothing is left when the future is dropped.
///
/// # Errors
/// Those of reading the content; `DigestMismatch` or `SizeMismatch`; `Io` when the disk is full, say.
pub async fn stage(content: &Content, directory: &Path, durability: Durability) -> Result<StagedFile> {
    if partial_file::is_resumable(content) {
        let (directory, digest) = (directory.to_owned(), content.descriptor().digest.clone());
        let partial = blocking(move || Ok(PartialFile::claim_in(&directory, &digest))).await?;
        if let Some(partial) = partial {
            let name = partial.path().display().to_string();
            let whole = partial.resume(content).await?.write(name, durability).await?;
            return blocking(move || finish(StagedFile::whole(whole), durability)).await;
        }
    }
    let mut staged = {
        let directory = directory.to_owned();
        blocking(move || StagedFile::create(&directory)).await?
    };
    if durability == Durability::Synced {
        staged.flush_while_written();
    }
    if content.descriptor().size <= CHUNK as u64 {
        let bytes = collect(content).await?;
        return blocking(move || {
            staged.write_whole(&bytes)?;
            finish(staged, durability)
        })
        .await;
    }
    let name = staged.path().display().to_string();
    write_verified(content, staged, name, move |staged| finish(staged, durability)).await
}

async fn collect(content: &Content) -> Result<Bytes> {
    let descriptor = content.descriptor();
    let mut stream = content.unverified(0..descriptor.size).await?;
    let mut verifier = Verifier::new(descriptor)?;
    let mut bytes = BytesMut::new();
    while let Some(chunk) = stream.try_next().await? {
        verifier.update(&chunk)?;
        bytes.extend_from_slice(&chunk);
    }
    verifier.finish()?;
    Ok(bytes.freeze())
}

/// Writes `content` to `sink`, hashing and writing on blocking threads while the bytes arrive, and then calls
/// `finish` on one: only if every byte was written and they are the descriptor's. Errors of writing name `name`.
///
/// On any error, and soon after the future was dropped, `sink` is dropped with whatever it got.
pub async fn write_verified<W, T>(
    content: &Content,
    sink: W,
    name: String,
    finish: impl FnOnce(W) -> Result<T> + Send + 'static,
) -> Result<T>
where
    W: Write + Send + 'static,
    T: Send + 'static,
{
    let descriptor = content.descriptor();
    let stream = content.unverified(0..descriptor.size).await?;
    let sink = write_rest(stream, Verifier::new(descriptor)?, sink, name).await?;
    blocking(move || finish(sink)).await
}

/// Like [`write_verified`], of what comes after that which `verifier` has seen; hands the sink back.
async fn write_rest<W>(mut stream: ByteStream, mut verifier: Verifier, mut sink: W, name: String) -> Result<W>
where
    W: Write + Send + 'static,
{
    let (sender, mut chunks) = mpsc::channel::<Bytes>(QUEUE);
    // On one thread: what was just hashed is written out of the processor's cache. Another one reads meanwhile.
    let writer = blocking(move || {
        while let Some(chunk) = chunks.blocking_recv() {
            verifier.update(&chunk)?;
            sink.write_all(&chunk).map_err(|error| Error::io(format!("failed to write {name}"), error))?;
        }
        verifier.finish()?;
        Ok(sink)
    });
    let feeder = async {
        while let Some(chunk) = stream.try_next().await? {
            if sender.send(chunk).await.is_err() {
                break;
            }
        }
        drop(sender);
        Ok::<_, Error>(())
    };
    // A failed read matters more than the short file it leaves; a failed check or write ends the reading.
    let (fed, written) = futures::join!(feeder, writer);
    fed?;
    written
}

/// A partial file and the rest of its content, about to be written.
pub struct ResumedWrite {
    content: Content,
    partial: PartialFile,
    verifier: Verifier,
    offset: u64,
    stream: ByteStream,
}

impl PartialFile {
    /// Hashes what is there and opens the content where that ends; what is there counts as progress.
    ///
    /// Should the content not open there, it is opened from its beginning.
    ///
    /// # Errors
    /// Those of opening the content. The partial file stays then.
    pub async fn resume(self, content: &Content) -> Result<ResumedWrite> {
        let (descriptor, content) = (content.descriptor(), content.clone());
        let size = descriptor.size;
        let verifier = Verifier::new(descriptor)?;
        let (partial, verifier, offset) = blocking(move || self.rehash(verifier, size)).await?;
        let opened = if offset == size && size > 0 {
            Ok(Box::pin(futures::stream::empty()) as ByteStream)
        } else {
            content.unverified(offset..size).await
        };
        match opened {
            Ok(stream) => {
                content.passed(offset);
                Ok(ResumedWrite { content, partial, verifier, offset, stream })
            }
            Err(error) if offset > 0 && is_about_the_range(&error) => partial.begin_anew(content).await,
            Err(error) => Err(error),
        }
    }

    /// Forgets what is there.
    async fn begin_anew(self, content: Content) -> Result<ResumedWrite> {
        let partial = blocking(move || self.truncate().map(|()| self)).await?;
        let verifier = Verifier::new(content.descriptor())?;
        let stream = content.unverified(0..content.descriptor().size).await?;
        Ok(ResumedWrite { content, partial, verifier, offset: 0, stream })
    }

    async fn fill(
        &self,
        stream: ByteStream,
        verifier: Verifier,
        name: String,
        durability: Durability,
    ) -> Result<()> {
        let sink = write_rest(stream, verifier, self.sink(durability)?, name).await?;
        blocking(move || sink.settle()).await
    }
}

impl ResumedWrite {
    /// Writes the rest and hands the file back, whole and verified. Errors of writing name `name`. What is to be
    /// `Synced` in the end is flushed while it is written.
    ///
    /// If all is there and is not the descriptor's, and some of it came from an earlier run, everything is fetched
    /// once more. When the network fails, and when the future is dropped, the file stays; otherwise it goes.
    ///
    /// # Errors
    /// Those of reading the content; `DigestMismatch` or `SizeMismatch`; `Io`.
    pub async fn write(self, name: String, durability: Durability) -> Result<PartialFile> {
        let Self { content, partial, verifier, offset, stream } = self;
        let poured = partial.fill(stream, verifier, name.clone(), durability).await;
        let error = match poured {
            Ok(()) => return Ok(partial),
            Err(error) => error,
        };
        let spoiled = matches!(error.kind(), ErrorKind::DigestMismatch | ErrorKind::SizeMismatch);
        if offset == 0 || !spoiled {
            if error.kind() != ErrorKind::Network {
                partial.discard();
            }
            return Err(error);
        }
        // The bytes were told already.
        let rest = partial.begin_anew(content.with_progress(Arc::new(|_| {}))).await?;
        match rest.partial.fill(rest.stream, rest.verifier, name, durability).await {
            Ok(()) => Ok(rest.partial),
            Err(error) => {
                if error.kind() != ErrorKind::Network {
                    rest.partial.discard();
                }
                Err(error)
            }
        }
    }
}

/// Whether the content might open from its beginning all the same.
fn is_about_the_range(error: &Error) -> bool {
    !matches!(
        error.kind(),
        ErrorKind::Network | ErrorKind::NotFound | ErrorKind::Unauthorized | ErrorKind::Denied
    )
}

fn finish(mut staged: StagedFile, durability: Durability) -> Result<StagedFile> {
    if durability == Durability::Synced {
        staged.sync()?;
    }
    Ok(staged)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use futures::StreamExt;
    use oras_spec::{Descriptor, MediaType};

    use super::*;
    use crate::read;

    fn files(directory: &Path) -> usize {
        fs::read_dir(directory).unwrap().count()
    }

    fn chunks(bytes: &Bytes, size: usize) -> ByteStream {
        let chunks: Vec<_> = bytes.chunks(size).map(|chunk| Ok(bytes.slice_ref(chunk))).collect();
        futures::stream::iter(chunks).boxed()
    }

    #[tokio::test]
    async fn staged_content_is_verified_and_published() {
        let directory = tempfile::tempdir().unwrap();
        for size in [0, 5, CHUNK, CHUNK + 1, 3 * CHUNK + 7] {
            let bytes = Bytes::from(vec![7; size]);
            let content =
                Content::once(Descriptor::of(MediaType::LAYER_TAR, &bytes), chunks(&bytes, 100_000));
            let staged = stage(&content, directory.path(), Durability::Synced).await.unwrap();
            let path = directory.path().join("final");
            staged.publish(&path).unwrap();
            let back: Vec<_> =
                read(File::open(&path).unwrap(), 0..size as u64, "f".into()).try_collect().await.unwrap();
            assert_eq!(back.concat(), bytes);
        }
        assert_eq!(files(directory.path()), 1);
    }

    #[tokio::test]
    async fn bad_content_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        for size in [5, 2 * CHUNK] {
            let good = Bytes::from(vec![7; size]);
            let descriptor = Descriptor::of(MediaType::LAYER_TAR, &good);
            let mut flipped = good.to_vec();
            flipped[3] = 8;
            let flipped = Bytes::from(flipped);
            let longer = Bytes::from(vec![7; size + 1]);
            for (bytes, kind) in [
                (&flipped, ErrorKind::DigestMismatch),
                (&good.slice(1..), ErrorKind::SizeMismatch),
                (&longer, ErrorKind::SizeMismatch),
            ] {
                let content = Content::once(descriptor.clone(), chunks(bytes, 70_000));
                let error = stage(&content, directory.path(), Durability::Relaxed).await.unwrap_err();
                assert_eq!(error.kind(), kind);
            }
            let broken =
                futures::stream::iter([Ok(good.slice(..2)), Err(Error::new(ErrorKind::Network, "cut"))])
                    .boxed();
            let error =
                stage(&Content::once(descriptor, broken), directory.path(), Durability::Relaxed).await;
            assert_eq!(error.unwrap_err().kind(), ErrorKind::Network);
        }
        assert_eq!(files(directory.path()), 0);
    }
}
