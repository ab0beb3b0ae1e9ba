//! File input and output for stores: large reads off the async threads, and staged, verified, atomic writes.
//!
//! `tokio::fs` moves 4 KiB to 64 KiB pieces and runs at a tenth of the disk; here a blocking thread reads or
//! writes pieces of [`CHUNK`] bytes, and hashes what it writes, so that the hash overlaps with the network.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt};
use tempfile::NamedTempFile;
use tokio::sync::mpsc;

use crate::{ByteStream, Content, Error, Result, Verifier};

/// Bytes in one piece of a read: several pieces in flight must fit into the cache next to a core. Measured on a core
/// with 1 MiB of it, 128 KiB read a file in memory at 5 GB/s and 256 KiB at 1.7.
pub const CHUNK: usize = 64 * 1024;
/// Pieces between the reader and the writer of a transfer: bounds the memory of one stream to a few MiB.
const QUEUE: usize = 8;

/// Runs `work` on a thread that may block, and hands back its result.
///
/// Dropping the future does not stop `work`: it must end by itself when whoever feeds or reads it is gone.
pub async fn blocking<T, F>(work: F) -> Result<T>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => {
                Err(Error::new(crate::Kind::Other, "the runtime is shutting down").with_source(error))
            }
        },
    }
}

/// The bytes of `file` within `range`, read ahead by a blocking thread that ends when the stream is dropped.
///
/// A file that is shorter than the range ends the stream early; nothing beyond the range is read. Where the file
/// stands does not matter, so any number of streams may share one handle.
pub fn read(file: impl Into<Arc<File>>, range: Range<u64>, name: String) -> ByteStream {
    let (file, mut at) = (file.into(), range.start);
    let next = move |buffer: &mut [u8]| {
        let count = read_some_at(&file, buffer, at)?;
        at += count as u64;
        Ok(count)
    };
    read_ahead(next, range.end.saturating_sub(range.start), name)
}

/// The bytes of `file` from where it stands to its end, read like those of [`read`]: for pipes and terminals.
pub fn read_to_end(mut file: File, name: String) -> ByteStream {
    read_ahead(move |buffer| file.read(buffer), u64::MAX, name)
}

/// Fills `buffer` from `offset` on, wherever `file` stands; fewer bytes than asked only at the end of the file.
pub fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match read_some_at(file, &mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(unix)]
fn read_some_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, offset)
}

#[cfg(windows)]
fn read_some_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, offset)
}

fn read_ahead(
    mut next: impl FnMut(&mut [u8]) -> io::Result<usize> + Send + 'static,
    length: u64,
    name: String,
) -> ByteStream {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let failed = move |error| Error::io(format!("failed to read {name}"), error);
    drop(tokio::task::spawn_blocking(move || {
        let pool = Arc::new(Pool::default());
        let mut left = length;
        while left > 0 {
            let mut piece = Pool::take(&pool, usize::try_from(left).map_or(CHUNK, |left| left.min(CHUNK)));
            match next(&mut piece.buffer) {
                Ok(0) => return,
                Ok(count) => {
                    left -= count as u64;
                    piece.filled = count;
                    if sender.blocking_send(Ok(Bytes::from_owner(piece))).is_err() {
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    drop(sender.blocking_send(Err(failed(error))));
                    return;
                }
            }
        }
    }));
    receive(receiver)
}

/// Buffers of one stream that are filled again when whoever got them lets go: new ones would cost a page fault for
/// each 4 KiB, half as much as the hash.
#[derive(Debug, Default)]
struct Pool(Mutex<Vec<Vec<u8>>>);

/// A buffer, and how much of it was read.
#[derive(Debug)]
struct Piece {
    buffer: Vec<u8>,
    filled: usize,
    pool: Arc<Pool>,
}

impl Pool {
    fn take(pool: &Arc<Self>, size: usize) -> Piece {
        let free = pool.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut buffer = free.unwrap_or_default();
        buffer.resize(size, 0);
        Piece { buffer, filled: 0, pool: Arc::clone(pool) }
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        self.buffer.get(..self.filled).unwrap_or_default()
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.buffer);
        self.pool.0.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
    }
}

fn receive(receiver: mpsc::Receiver<Result<Bytes>>) -> ByteStream {
    futures::stream::unfold(receiver, |mut receiver| async move {
        let item = receiver.recv().await?;
        Some((item, receiver))
    })
    .boxed()
}

/// Whether written files are flushed to the disk before they get their name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Flushed: after a power cut a file is whole or absent. For stores.
    Synced,
    /// Left to the operating system, as tools that write a user's files do.
    Relaxed,
}

/// A verified file that has no name yet: dropped, it is gone.
#[derive(Debug)]
pub struct Staged {
    file: NamedTempFile,
}

impl Staged {
    /// An empty file in `directory`, on the same file system as where it will be published, with the permissions
    /// of any new file (0666 less the umask).
    pub fn create(directory: &Path) -> Result<Self> {
        Self::create_with_mode(directory, 0o666)
    }

    /// Like [`Staged::create`], with the permissions `mode` less the umask: 0600 for what holds secrets.
    pub fn create_with_mode(directory: &Path, mode: u32) -> Result<Self> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".oras-");
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(mode));
        #[cfg(not(unix))]
        let _ = mode;
        let file = builder.tempfile_in(directory).map_err(|error| {
            Error::io(format!("failed to create a file in {}", directory.display()), error)
        })?;
        Ok(Self { file })
    }

    /// The file, for writing.
    pub fn file_mut(&mut self) -> &mut File {
        self.file.as_file_mut()
    }

    /// Where the bytes are until they are published.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Flushes the bytes to the disk.
    pub fn sync(&mut self) -> Result<()> {
        let path = self.file.path().to_owned();
        self.file
            .as_file_mut()
            .sync_all()
            .map_err(|error| Error::io(format!("failed to flush {}", path.display()), error))
    }

    /// Gives the file its name in one step, replacing a file of that name.
    pub fn publish(self, path: &Path) -> Result<File> {
        self.file
            .persist(path)
            .map_err(|error| Error::io(format!("failed to write {}", path.display()), error.error))
    }
}

impl Write for Staged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Staged {
    /// Gives the file its name in one step unless something has that name; whether it did.
    pub fn publish_new(self, path: &Path) -> Result<bool> {
        match self.file.persist_noclobber(path) {
            Ok(_) => Ok(true),
            Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(Error::io(format!("failed to write {}", path.display()), error.error)),
        }
    }
}

/// Writes `content` into a staged file in `directory`, verified: hashing and writing on a blocking thread while
/// the bytes arrive. Memory is bounded whatever the size. Dropping the future removes the file.
///
/// # Errors
/// Those of reading the content; `DigestMismatch` or `SizeMismatch`; `Io` when the disk is full, say.
pub async fn stage(content: &Content, directory: &Path, durability: Durability) -> Result<Staged> {
    let mut staged = {
        let directory = directory.to_owned();
        blocking(move || Staged::create(&directory)).await?
    };
    if content.descriptor().size <= CHUNK as u64 {
        let bytes = collect(content).await?;
        return blocking(move || {
            write_all(&mut staged, &bytes)?;
            finish(staged, durability)
        })
        .await;
    }
    let name = staged.path().display().to_string();
    pour(content, staged, name, move |staged| finish(staged, durability)).await
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
pub async fn pour<W, T>(
    content: &Content,
    mut sink: W,
    name: String,
    finish: impl FnOnce(W) -> Result<T> + Send + 'static,
) -> Result<T>
where
    W: Write + Send + 'static,
    T: Send + 'static,
{
    let descriptor = content.descriptor();
    let mut stream = content.unverified(0..descriptor.size).await?;
    let mut verifier = Verifier::new(descriptor)?;
    let (to_hash, mut hashed) = mpsc::channel::<Bytes>(QUEUE);
    let (to_write, mut written) = mpsc::channel::<Bytes>(QUEUE);
    // Hashing takes as long as writing: a core for each.
    let hasher = blocking(move || {
        while let Some(chunk) = hashed.blocking_recv() {
            verifier.update(&chunk)?;
        }
        verifier.finish()
    });
    let writer = blocking(move || {
        while let Some(chunk) = written.blocking_recv() {
            sink.write_all(&chunk).map_err(|error| Error::io(format!("failed to write {name}"), error))?;
        }
        Ok(sink)
    });
    let feeder = async {
        while let Some(chunk) = stream.try_next().await? {
            if to_hash.send(chunk.clone()).await.is_err() || to_write.send(chunk).await.is_err() {
                break;
            }
        }
        drop((to_hash, to_write));
        Ok::<_, Error>(())
    };
    // A failed read matters more than the short file it leaves; a failed check or write ends the reading.
    let (fed, verified, written) = futures::join!(feeder, hasher, writer);
    fed?;
    let sink = written?;
    verified?;
    blocking(move || finish(sink)).await
}

fn write_all(staged: &mut Staged, bytes: &[u8]) -> Result<()> {
    let path = staged.path().to_owned();
    staged
        .file_mut()
        .write_all(bytes)
        .map_err(|error| Error::io(format!("failed to write {}", path.display()), error))
}

fn finish(mut staged: Staged, durability: Durability) -> Result<Staged> {
    if durability == Durability::Synced {
        staged.sync()?;
    }
    Ok(staged)
}

/// Replaces `path` by a file of `bytes` in one step, flushed to the disk: a reader sees the old file or the new.
/// The permissions are `mode` less the umask; of a file for its owner alone they are `mode`, whatever the umask.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut staged = Staged::create_with_mode(directory, mode)?;
    #[cfg(unix)]
    if mode & 0o077 == 0 {
        fs::set_permissions(staged.path(), std::os::unix::fs::PermissionsExt::from_mode(mode))
            .map_err(|error| Error::io(format!("failed to write {}", path.display()), error))?;
    }
    write_all(&mut staged, bytes)?;
    staged.sync()?;
    staged.publish(path)?;
    sync_directory(directory)
}

/// Flushes the names in `directory` to the disk, where the system can.
pub fn sync_directory(directory: &Path) -> Result<()> {
    if cfg!(unix) {
        File::open(directory)
            .and_then(|handle| handle.sync_all())
            .map_err(|error| Error::io(format!("failed to flush {}", directory.display()), error))?;
    }
    Ok(())
}

/// Makes `directory` and its parents.
pub fn create_directories(directory: &Path) -> Result<()> {
    fs::create_dir_all(directory)
        .map_err(|error| Error::io(format!("failed to create the directory {}", directory.display()), error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;
    use oras_spec::{Descriptor, MediaType};

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
                (&flipped, Kind::DigestMismatch),
                (&good.slice(1..), Kind::SizeMismatch),
                (&longer, Kind::SizeMismatch),
            ] {
                let content = Content::once(descriptor.clone(), chunks(bytes, 70_000));
                let error = stage(&content, directory.path(), Durability::Relaxed).await.unwrap_err();
                assert_eq!(error.kind(), kind);
            }
            let broken =
                futures::stream::iter([Ok(good.slice(..2)), Err(Error::new(Kind::Network, "cut"))]).boxed();
            let error =
                stage(&Content::once(descriptor, broken), directory.path(), Durability::Relaxed).await;
            assert_eq!(error.unwrap_err().kind(), Kind::Network);
        }
        assert_eq!(files(directory.path()), 0);
    }

    #[tokio::test]
    async fn streams_share_one_handle() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        let file = Arc::new(file);
        let all = |range| read(Arc::clone(&file), range, "f".into()).try_collect::<Vec<_>>();
        let (head, tail, beyond) = futures::join!(all(0..4), all(6..10), all(8..20));
        assert_eq!(head.unwrap().concat(), b"0123");
        assert_eq!(tail.unwrap().concat(), b"6789");
        assert_eq!(beyond.unwrap().concat(), b"89");
    }

    #[test]
    fn replace_is_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("index.json");
        replace(&path, b"one", 0o666).unwrap();
        replace(&path, b"two", 0o666).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(files(directory.path()), 1);
    }
}
