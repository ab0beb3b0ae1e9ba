//! Partial files: what came of big content, kept by its digest until the rest comes, be it in another run.
//!
//! They are in a directory that only this user may enter, beside where the content goes, and that one process uses at a
//! time. What is in them is never trusted: it is hashed before the rest is fetched, and verified together with it.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use oras_spec::Digest;
use parking_lot::Mutex;

use super::background_flush::BackgroundFlush;
use super::staged_file::{is_refused, rename_new};
use super::{Durability, private_dir};
use oras_store::{Content, Error, Result, Verifier};

/// The directory of partial files.
pub(super) const NAME: &str = ".oras-partial";
/// Smaller content is fetched again.
const MIN_RESUMABLE_SIZE: u64 = 4 << 20;
/// What is shorter than this is not kept.
const MIN_KEPT_SIZE: u64 = 1 << 20;
/// Partial files that nobody has touched for so long are removed.
const MAX_AGE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Whether what comes of `content` is kept for the next run.
pub(super) fn is_resumable(content: &Content) -> bool {
    content.descriptor().size >= MIN_RESUMABLE_SIZE
        && content.is_replayable()
        && content.in_memory().is_none()
}

/// The directory of partial files in another directory, locked by this process.
#[derive(Debug)]
struct PartialDir {
    parent: File,
    directory: File,
    path: PathBuf,
    /// Files that are being written.
    busy: Mutex<HashSet<String>>,
}

/// A directory that this process holds, and the identity of the directory it is in.
type OpenDir = ((u64, u64), Weak<PartialDir>);

static OPEN_DIRS: Mutex<Vec<OpenDir>> = Mutex::new(Vec::new());

impl PartialDir {
    /// The partial files in `parent`, which is at `path`; `None` when another process uses them, when the directory is
    /// not this user's alone, and where there is no such thing.
    fn open(parent: &File, path: &Path) -> Option<Arc<Self>> {
        let identity = private_dir::identity(parent).ok()?;
        let mut held = OPEN_DIRS.lock();
        held.retain(|(_, partials)| partials.strong_count() > 0);
        let found = held.iter().find(|(other, _)| *other == identity);
        if let Some(partials) = found.and_then(|(_, partials)| partials.upgrade()) {
            return Some(partials);
        }
        let directory = private_dir::open(parent, NAME).ok()?;
        let (parent, path) = (parent.try_clone().ok()?, path.join(NAME));
        let partials = Arc::new(Self { parent, directory, path, busy: Mutex::default() });
        partials.sweep();
        held.push((identity, Arc::downgrade(&partials)));
        Some(partials)
    }

    /// Removes what nobody came back for. Best effort: a file that stays harms nobody.
    fn sweep(&self) {
        for (name, modified) in private_dir::list(&self.directory) {
            let age = SystemTime::now().duration_since(modified);
            if age.is_ok_and(|age| age > MAX_AGE) {
                drop(private_dir::remove(&self.directory, &name));
            }
        }
    }

    fn busy(&self) -> parking_lot::MutexGuard<'_, HashSet<String>> {
        self.busy.lock()
    }
}

impl Drop for PartialDir {
    fn drop(&mut self) {
        // Only an empty directory goes.
        drop(private_dir::remove_directory(&self.parent, NAME));
    }
}

/// Removes partial files in `directory` that are a week old. Best effort.
pub fn sweep_partial_files(directory: &Path) {
    if directory.join(NAME).is_dir()
        && let Ok(parent) = File::open(directory)
    {
        drop(PartialDir::open(&parent, directory));
    }
}

/// A name in the directory; when the last one lets go, a short file or one that is not wanted is removed.
#[derive(Debug)]
struct PartialName {
    partials: Arc<PartialDir>,
    name: String,
    path: PathBuf,
    unwanted: AtomicBool,
    /// Whether the file is elsewhere now.
    moved: AtomicBool,
}

impl Drop for PartialName {
    fn drop(&mut self) {
        let Self { partials, name, .. } = self;
        if !self.moved.load(Ordering::Relaxed)
            && (self.unwanted.load(Ordering::Relaxed)
                || private_dir::length(&partials.directory, name).is_ok_and(|length| length < MIN_KEPT_SIZE))
        {
            drop(private_dir::remove(&partials.directory, name));
        }
        partials.busy().remove(name);
    }
}

/// A file that holds the beginning of some content and that nobody else writes; dropped, it stays.
#[derive(Debug)]
pub struct PartialFile {
    entry: Arc<PartialName>,
    file: File,
}

impl PartialFile {
    /// The partial file for `content` in the directory `parent`, which is at `path`: there or made. `None` when the
    /// content is not worth it, or when there can be none: then it has to be written in another way.
    pub fn claim(parent: &File, path: &Path, content: &Content) -> Option<Self> {
        if !is_resumable(content) {
            return None;
        }
        Self::claim_digest(parent, path, &content.descriptor().digest)
    }

    pub(super) fn claim_in(directory: &Path, digest: &Digest) -> Option<Self> {
        Self::claim_digest(&File::open(directory).ok()?, directory, digest)
    }

    fn claim_digest(parent: &File, path: &Path, digest: &Digest) -> Option<Self> {
        let partials = PartialDir::open(parent, path)?;
        let name = format!("{}-{}", digest.algorithm_name(), digest.encoded());
        if !partials.busy().insert(name.clone()) {
            return None;
        }
        let path = partials.path.join(&name);
        let (unwanted, moved) = (AtomicBool::new(false), AtomicBool::new(false));
        let entry = Arc::new(PartialName { partials, name, path, unwanted, moved });
        match private_dir::open_file(&entry.partials.directory, &entry.name) {
            Ok(file) => Some(Self { entry, file }),
            Err(_) => {
                entry.moved.store(true, Ordering::Relaxed);
                None
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.entry.path
    }

    pub(super) fn file_mut(&mut self) -> &mut File {
        &mut self.file
    }

    /// What writes to the file where it stands; the file is nobody else's while it lives.
    pub(super) fn sink(&self, durability: Durability) -> Result<PartialWriter> {
        let file = self.file.try_clone();
        let file =
            file.map_err(|error| Error::io(format!("failed to open {}", self.path().display()), error))?;
        let background_flush = (durability == Durability::Synced).then(BackgroundFlush::default);
        Ok(PartialWriter { file, background_flush, entry: Arc::clone(&self.entry) })
    }

    /// Shows `verifier` what is there, and tells how much that is; what can't be right is gone.
    pub(super) fn rehash(self, verifier: Verifier, size: u64) -> Result<(Self, Verifier, u64)> {
        let mut fed = verifier.clone();
        match feed(&self.file, &mut fed, size) {
            Ok(length) => Ok((self, fed, length)),
            Err(_) => {
                self.truncate()?;
                Ok((self, verifier, 0))
            }
        }
    }

    pub(super) fn truncate(&self) -> Result<()> {
        // Some drivers for FAT cannot change a length, so that they are not asked without need.
        let truncated = self.file.metadata().and_then(|found| match found.len() {
            0 => Ok(()),
            _ => self.file.set_len(0),
        });
        let truncated = truncated.and_then(|()| (&self.file).seek(SeekFrom::Start(0)));
        truncated
            .map(drop)
            .map_err(|error| Error::io(format!("failed to write {}", self.entry.path.display()), error))
    }

    /// Removes the file, as soon as nobody writes it any more.
    pub(super) fn discard(self) {
        self.entry.unwanted.store(true, Ordering::Relaxed);
    }

    pub(super) fn publish(self, path: &Path) -> io::Result<File> {
        private_dir::rename(&self.entry.partials.directory, &self.entry.name, None, path)?;
        self.entry.moved.store(true, Ordering::Relaxed);
        Ok(self.file)
    }

    pub(super) fn publish_new(self, path: &Path) -> io::Result<()> {
        match private_dir::link(&self.entry.partials.directory, &self.entry.name, path) {
            Ok(()) => {
                self.discard();
                Ok(())
            }
            Err(error) if is_refused(&error) => rename_new(path, || self.publish(path).map(drop)),
            Err(error) => Err(error),
        }
    }

    /// Closes the file, which is whole.
    pub fn into_whole(self) -> CompletedFile {
        CompletedFile { entry: self.entry }
    }
}

fn feed(mut file: &File, verifier: &mut Verifier, size: u64) -> Result<u64> {
    let failed = |error| Error::io("failed to read a partial file", error);
    if file.metadata().map_err(failed)?.len() > size {
        return Err(Error::new(oras_store::ErrorKind::SizeMismatch, "the partial file is too long"));
    }
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    let (mut buffer, mut length) = (vec![0; 4 * super::CHUNK], 0);
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(length),
            Ok(count) => {
                verifier.update(&buffer[..count])?;
                length += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
}

/// Writes a partial file.
pub(super) struct PartialWriter {
    file: File,
    /// Of what is to be flushed in the end.
    background_flush: Option<BackgroundFlush>,
    entry: Arc<PartialName>,
}

impl PartialWriter {
    /// Waits for what is being flushed.
    pub(super) fn settle(mut self) -> Result<()> {
        let settled = self.background_flush.as_mut().map_or(Ok(()), BackgroundFlush::settle);
        settled.map_err(|error| Error::io(format!("failed to flush {}", self.entry.path.display()), error))
    }
}

impl Write for PartialWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        if let Some(background_flush) = &mut self.background_flush {
            background_flush.wrote(&self.file, count)?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A partial file that became whole and was verified: dropped, it stays for the next run.
#[derive(Clone, Debug)]
pub struct CompletedFile {
    entry: Arc<PartialName>,
}

impl CompletedFile {
    /// Opens it for reading.
    pub fn open(&self) -> io::Result<File> {
        private_dir::open_file(&self.entry.partials.directory, &self.entry.name)
    }

    /// Moves it to `name` in `directory`.
    pub fn move_to(&self, directory: &File, name: &Path) -> io::Result<()> {
        private_dir::rename(&self.entry.partials.directory, &self.entry.name, Some(directory), name)?;
        self.entry.moved.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Takes it back from where [`CompletedFile::move_to`] put it. Nothing better can be done with an error here.
    pub fn take_back(&self, directory: &File, name: &Path) {
        if private_dir::take(directory, name, &self.entry.partials.directory, &self.entry.name).is_ok() {
            self.entry.moved.store(false, Ordering::Relaxed);
        }
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::fs;
    use std::ops::Range;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use async_trait::async_trait;
    use bytes::Bytes;
    use futures::StreamExt;
    use oras_spec::{Descriptor, MediaType};

    use super::*;
    use crate::{Durability, stage};
    use oras_store::{ByteStream, ErrorKind, Source};

    /// Gives `bytes` up to `end`, where the network fails; keeps what was asked for.
    struct Cut {
        bytes: Bytes,
        end: usize,
        asked: Mutex<Vec<Range<u64>>>,
    }

    #[async_trait]
    impl Source for Cut {
        async fn resolve(&self, reference: &str) -> Result<Descriptor> {
            Err(Error::not_found(reference))
        }

        async fn fetch(&self, _: &Descriptor, range: Range<u64>) -> Result<ByteStream> {
            self.asked.lock().push(range.clone());
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

    /// The content of `bytes` as `sent` up to `end`, and its source.
    fn cut(sent: &Bytes, end: usize) -> (Arc<Cut>, Content) {
        let source = Arc::new(Cut { bytes: sent.clone(), end, asked: Mutex::default() });
        let content =
            Content::from_source(Arc::clone(&source) as _, Descriptor::of(MediaType::LAYER_TAR, &bytes()));
        (source, content)
    }

    fn asked(source: &Cut) -> Vec<Range<u64>> {
        source.asked.lock().clone()
    }

    fn partial_file(directory: &Path) -> PathBuf {
        let digest = Digest::sha256(&bytes());
        directory.join(NAME).join(format!("sha256-{}", digest.encoded()))
    }

    fn entries(directory: &Path) -> usize {
        fs::read_dir(directory).unwrap().count()
    }

    #[tokio::test]
    async fn the_next_run_fetches_the_rest() {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        let (_, content) = cut(&bytes(), 3 << 20);
        let error = stage(&content, at, Durability::Relaxed).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Network);
        assert_eq!(fs::metadata(partial_file(at)).unwrap().len(), 3 << 20);
        assert_eq!(fs::metadata(at.join(NAME)).unwrap().permissions().mode() & 0o777, 0o700);

        let (source, content) = cut(&bytes(), SIZE);
        let told = Arc::new(Mutex::new(0));
        let count = Arc::clone(&told);
        let content = content.with_progress(Arc::new(move |bytes| *count.lock() += bytes));
        let staged = stage(&content, at, Durability::Synced).await.unwrap();
        assert_eq!((asked(&source).len(), asked(&source).last()), (1, Some(&(3 << 20..SIZE as u64))));
        assert_eq!(*told.lock(), SIZE as u64);
        staged.publish(&at.join("final")).unwrap();
        assert_eq!(fs::read(at.join("final")).unwrap(), bytes());
        assert_eq!(entries(at), 1);
    }

    #[tokio::test]
    async fn what_was_kept_is_not_trusted() {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        for spoiled in [vec![9; 2 << 20], vec![9; SIZE], vec![9; SIZE + 1]] {
            let (_, content) = cut(&bytes(), 2 << 20);
            stage(&content, at, Durability::Relaxed).await.unwrap_err();
            let file = fs::OpenOptions::new().write(true).truncate(true).open(partial_file(at));
            file.unwrap().write_all(&spoiled).unwrap();
            let (source, content) = cut(&bytes(), SIZE);
            let staged = stage(&content, at, Durability::Relaxed).await.unwrap();
            assert_eq!(asked(&source).last(), Some(&(0..SIZE as u64)), "{}", spoiled.len());
            staged.publish(&at.join("final")).unwrap();
            assert_eq!(fs::read(at.join("final")).unwrap(), bytes());
        }
    }

    #[tokio::test]
    async fn wrong_and_short_content_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        let (_, content) = cut(&vec![1; SIZE].into(), SIZE);
        let error = stage(&content, at, Durability::Relaxed).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DigestMismatch);
        let (_, content) = cut(&bytes(), 900_000);
        let error = stage(&content, at, Durability::Relaxed).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Network);
        assert_eq!(entries(at), 0);
    }

    #[tokio::test]
    async fn one_writer_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        let (_, content) = cut(&bytes(), SIZE);
        let parent = File::open(at).unwrap();
        let held = PartialFile::claim(&parent, at, &content).unwrap();
        assert!(PartialFile::claim(&parent, at, &content).is_none());
        let lock = File::open(at.join(NAME)).unwrap();
        assert!(lock.try_lock().is_err(), "another process can't take it");
        // An ordinary file takes its place.
        let staged = stage(&content, at, Durability::Relaxed).await.unwrap();
        assert!(!staged.path().starts_with(at.join(NAME)));
        drop((held, staged, lock));
        assert_eq!(entries(at), 0);
    }

    #[tokio::test]
    async fn nothing_planted_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let at = directory.path();
        let (_, content) = cut(&bytes(), SIZE);
        let fetched = async || {
            let staged = stage(&content, at, Durability::Relaxed).await.unwrap();
            staged.publish(&at.join("final")).unwrap();
            assert_eq!(fs::read(at.join("final")).unwrap(), bytes());
        };
        symlink(elsewhere.path(), at.join(NAME)).unwrap();
        fetched().await;
        fs::remove_file(at.join(NAME)).unwrap();

        // A directory that others may enter.
        fs::create_dir(at.join(NAME)).unwrap();
        fs::set_permissions(at.join(NAME), PermissionsExt::from_mode(0o755)).unwrap();
        fetched().await;
        assert_eq!(entries(&at.join(NAME)), 0);

        fs::set_permissions(at.join(NAME), PermissionsExt::from_mode(0o700)).unwrap();
        let victim = elsewhere.path().join("victim");
        crate::replace(&victim, b"mine", 0o666).unwrap();
        symlink(&victim, partial_file(at)).unwrap();
        fetched().await;
        fs::remove_file(partial_file(at)).unwrap();
        fs::hard_link(&victim, partial_file(at)).unwrap();
        fetched().await;
        assert_eq!(fs::read(&victim).unwrap(), b"mine");
    }

    #[tokio::test]
    async fn old_files_go() {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        let (_, content) = cut(&bytes(), 3 << 20);
        stage(&content, at, Durability::Relaxed).await.unwrap_err();
        sweep_partial_files(at);
        assert!(partial_file(at).exists());
        let file = File::options().write(true).open(partial_file(at)).unwrap();
        file.set_modified(SystemTime::now() - MAX_AGE - Duration::from_secs(60)).unwrap();
        sweep_partial_files(at);
        assert_eq!(entries(at), 0);
    }
}
