//! Writing a layout straight into a tar archive.

use std::collections::{BTreeSet, HashMap};
use std::fs::Metadata;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use oras_spec::layout::{BLOBS_DIR, INDEX_FILE, MARKER_FILE, Marker};
use oras_spec::{Descriptor, Digest, json};
use oras_store::fsio::{self, Staged, blocking};
use oras_store::{Content, Error, Kind, Pushed, Result, Target};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::OwnedMutexGuard;

use super::{BLOCK, header};
use crate::index::{Change, Index};
use crate::layout::checked;
use crate::limits;

/// The permissions of a new file, less the umask.
const NEW_FILE: u32 = 0o666;
/// Content of at most this size is fetched while other content is written.
const SMALL: u64 = 1024 * 1024;

/// A tar archive that becomes an OCI image layout: a target that cannot be read before it is finished.
///
/// Content goes into the archive as it arrives, each digest once, without a copy elsewhere. One body is written at a
/// time; what is small is fetched meanwhile, and memory stays bounded. Content that turns out wrong is overwritten by
/// what comes next. Nothing has the archive's name before [`ArchiveWriter::finish`]: dropped, it leaves nothing, and a
/// file that was there stays.
///
/// The entries are `blobs/`, `blobs/sha256/`, the blobs (mode 0444), `index.json`, `oci-layout`, as the Go tool's
/// backup writes them, but blobs come in the order in which they arrive, not sorted, and owners and times are 0.
#[derive(Clone, Debug)]
pub struct ArchiveWriter {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    /// Held while a body is written; `None` when the archive is finished.
    tape: Arc<tokio::sync::Mutex<Option<Tape>>>,
    books: Arc<Mutex<Books>>,
}

/// What is in the archive.
#[derive(Debug, Default)]
struct Books {
    blobs: HashMap<Digest, u64>,
    index: Index,
}

/// The archive so far.
#[derive(Debug)]
struct Tape {
    staged: Staged,
    /// Where the next entry goes; what is behind it is the rest of one that failed.
    end: u64,
    /// The algorithms that have a directory.
    directories: BTreeSet<String>,
}

impl ArchiveWriter {
    /// Begins the archive at `path`, in a file beside it. An existing file keeps its permissions when it is replaced.
    ///
    /// # Errors
    /// `AlreadyExists` when a directory, or anything else that is not a file, has that name; `Io` when the directory
    /// of the archive is not there or can't be written.
    pub async fn create(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let (staged, path) = blocking(move || stage(&path)).await?;
        let tape = Tape { staged, end: 0, directories: BTreeSet::new() };
        let tape = Arc::new(tokio::sync::Mutex::new(Some(tape)));
        Ok(Self { inner: Arc::new(Inner { path, tape, books: Arc::default() }) })
    }

    /// Completes the archive, flushes it to the disk and gives it its name; its size.
    ///
    /// # Errors
    /// Those of the file system; there is no archive then, and a file that was there is as it was.
    pub async fn finish(&self) -> Result<u64> {
        let mut tape = self.tape().await?;
        let tape = tape.take().ok_or_else(finished)?;
        let index = self.books().index.to_bytes();
        let path = self.inner.path.clone();
        limits::check_index(&format!("{INDEX_FILE} in {}", path.display()), &index)?;
        blocking(move || tape.finish(&index, &path)).await
    }

    async fn tape(&self) -> Result<OwnedMutexGuard<Option<Tape>>> {
        let tape = Arc::clone(&self.inner.tape).lock_owned().await;
        if tape.is_some() { Ok(tape) } else { Err(finished()) }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        locked(&self.inner.books)
    }

    fn has(&self, node: &Descriptor) -> bool {
        self.books().blobs.get(&node.digest) == Some(&node.size)
    }

    async fn write(&self, content: &Content) -> Result<Pushed> {
        let node = content.descriptor().clone();
        if self.has(&node) {
            return Ok(Pushed::Existed);
        }
        let content = if node.size <= SMALL && content.in_memory().is_none() {
            &Content::from_bytes(node.clone(), content.bytes(SMALL).await?)?
        } else {
            content
        };
        let tape = self.tape().await?;
        if self.has(&node) {
            return Ok(Pushed::Existed);
        }
        // Body and guard go to the thread that writes: a dropped future does not let others overtake it.
        let body = Body { tape, node, end: None };
        let books = Arc::clone(&self.inner.books);
        let name = self.inner.path.display().to_string();
        let finish = move |mut body: Body| {
            body.end()?;
            locked(&books).blobs.insert(body.node.digest.clone(), body.node.size);
            Ok(())
        };
        fsio::pour(content, body, name, finish).await?;
        Ok(Pushed::Copied)
    }
}

fn locked(books: &Mutex<Books>) -> MutexGuard<'_, Books> {
    books.lock()
}

fn finished() -> Error {
    Error::new(Kind::Unsupported, "the archive is finished")
}

/// A file beside `path`, and the path it will have: that of the file which a link names.
fn stage(given: &Path) -> Result<(Staged, PathBuf)> {
    let path = given.canonicalize().unwrap_or_else(|_| given.to_owned());
    let mut mode = NEW_FILE;
    if let Ok(metadata) = path.metadata() {
        if !metadata.is_file() {
            let what = if metadata.is_dir() { "a directory" } else { "not a file" };
            let given = given.display().to_string();
            let message = format!("the output path {given:?} already exists and is {what}");
            return Err(Error::new(Kind::AlreadyExists, message));
        }
        mode = mode_of(&metadata);
    }
    let directory = directory_of(&path);
    if directory.try_exists().is_ok_and(|there| !there) {
        return Err(Error::new(Kind::Io, format!("open {}: no such file or directory", given.display())));
    }
    let mut staged = Staged::create_with_mode(directory, mode)?;
    staged.flush_while_written();
    Ok((staged, path))
}

#[cfg(unix)]
fn mode_of(metadata: &Metadata) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o777
}

#[cfg(not(unix))]
fn mode_of(_: &Metadata) -> u32 {
    NEW_FILE
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

impl Tape {
    /// Writes headers and content where the next entry goes.
    fn append(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        let file = self.staged.file_mut();
        file.seek(SeekFrom::Start(self.end))?;
        for part in parts {
            file.write_all(part)?;
            self.end += part.len() as u64;
        }
        Ok(())
    }

    fn file(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let padding = [0; BLOCK as usize];
        self.append(&[&header::file(name, bytes.len() as u64, 0o644), bytes, &padding[..padded(bytes.len())]])
    }

    /// The directories that must come before a blob of that algorithm.
    fn directories(&self, algorithm: Option<&str>) -> Vec<u8> {
        let mut bytes = Vec::new();
        if self.end == 0 {
            bytes.extend(header::directory(&format!("{BLOBS_DIR}/")));
        }
        if let Some(algorithm) = algorithm.filter(|algorithm| !self.directories.contains(*algorithm)) {
            bytes.extend(header::directory(&format!("{BLOBS_DIR}/{algorithm}/")));
        }
        bytes
    }

    fn finish(mut self, index: &[u8], path: &Path) -> Result<u64> {
        let failed = |error| Error::io(format!("failed to write {}", path.display()), error);
        let directories = self.directories(None);
        self.append(&[&directories]).map_err(failed)?;
        self.file(INDEX_FILE, index).map_err(failed)?;
        self.file(MARKER_FILE, &json::to_vec(&Marker::default())).map_err(failed)?;
        // The end of an archive is two empty blocks.
        self.append(&[&[0; 2 * BLOCK as usize]]).map_err(failed)?;
        // What was written of a blob that failed is behind the end. Some drivers for FAT cannot change a length, so that they are
        // not asked without need.
        let file = self.staged.file_mut();
        if file.metadata().map_err(failed)?.len() != self.end {
            file.set_len(self.end).map_err(failed)?;
        }
        self.staged.sync()?;
        self.staged.publish(path)?;
        fsio::sync_directory(directory_of(path))?;
        Ok(self.end)
    }
}

/// The bytes between content of that length and the next header.
fn padded(length: usize) -> usize {
    length.next_multiple_of(BLOCK as usize) - length
}

/// A blob on its way into the archive. Until [`Body::end`] the archive ends before it.
struct Body {
    tape: OwnedMutexGuard<Option<Tape>>,
    node: Descriptor,
    /// Where the entry will end, once its header is written.
    end: Option<u64>,
}

impl Body {
    fn begin(&mut self) -> io::Result<()> {
        let tape = self.tape.as_mut().ok_or_else(|| io::Error::other(finished()))?;
        let digest = &self.node.digest;
        let name = format!("{BLOBS_DIR}/{}/{}", digest.algorithm_name(), digest.encoded());
        let mut bytes = tape.directories(Some(digest.algorithm_name()));
        bytes.extend(header::file(&name, self.node.size, 0o444));
        let file = tape.staged.file_mut();
        file.seek(SeekFrom::Start(tape.end))?;
        file.write_all(&bytes)?;
        let size = self.node.size.checked_next_multiple_of(BLOCK);
        let end = size.and_then(|size| tape.end.checked_add(bytes.len() as u64)?.checked_add(size));
        self.end = Some(end.ok_or_else(|| io::Error::from(io::ErrorKind::FileTooLarge))?);
        Ok(())
    }

    /// Pads what was written, and makes it part of the archive.
    fn end(&mut self) -> Result<()> {
        let failed = |error| Error::io("failed to write the archive", error);
        if self.end.is_none() {
            self.begin().map_err(failed)?;
        }
        let (Some(tape), Some(end)) = (self.tape.as_mut(), self.end) else { return Err(finished()) };
        let padding = end - tape.staged.file_mut().stream_position().map_err(failed)?;
        let zeros = [0; BLOCK as usize];
        let padding = usize::try_from(padding).unwrap_or_default().min(zeros.len());
        tape.staged.write_all(&zeros[..padding]).map_err(failed)?;
        tape.directories.insert(self.node.digest.algorithm_name().to_owned());
        tape.end = end;
        Ok(())
    }
}

impl Write for Body {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.end.is_none() {
            self.begin()?;
        }
        match self.tape.as_mut() {
            Some(tape) => tape.staged.write(bytes),
            None => Err(io::Error::other(finished())),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[async_trait]
impl Target for ArchiveWriter {
    async fn exists(&self, descriptor: &Descriptor) -> Result<bool> {
        Ok(self.has(descriptor))
    }

    async fn push(&self, content: &Content) -> Result<Pushed> {
        let content = &checked(content).await?;
        let pushed = self.write(content).await?;
        if content.descriptor().media_type.is_manifest() {
            self.books().index.apply(&Change::List(content.descriptor().clone()));
        }
        Ok(pushed)
    }

    async fn tag(&self, content: &Content, tag: &str) -> Result<()> {
        let node = content.descriptor();
        if !self.has(node) {
            self.write(&checked(content).await?).await?;
        }
        let change = match tag.parse::<Digest>() {
            Ok(digest) if digest == node.digest => Change::List(node.clone()),
            _ => Change::Tag(node.clone(), tag.to_owned()),
        };
        self.books().index.apply(&change);
        Ok(())
    }
}
