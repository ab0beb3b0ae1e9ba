//! A blob that arrives piece by piece.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use oras_spec::layout::MARKER_FILE;
use oras_spec::{Algorithm, Descriptor, Digest, Hasher, Manifest, MediaType};
use oras_store::fsio::{self, ParkedFile, Staged, blocking};
use oras_store::{Error, Ingest, Kind, ReadBack, Result};

use crate::index::Change;
use crate::limits::MAX_STORED_MANIFEST;
use crate::{Layout, blobs, journal};

/// Files of uploads that outlive the program begin so; as all staged files do they go when nobody has touched them for a
/// day.
const NAMED: &str = ".oras-upload-";
/// The longest name of an upload.
const LONGEST_NAME: usize = 128;
/// How often a directory is made that somebody else removes, as it is empty.
const TRIES: usize = 4;

/// A staged file with the running hash of what is in it.
pub(crate) struct LayoutIngest {
    layout: Layout,
    media_type: MediaType,
    algorithm: Algorithm,
    /// `None` only while a piece is written, and after one failed.
    state: Option<State<Handle>>,
    written: u64,
    is_named: bool,
    /// Dropped after the file.
    _made: Made,
}

/// What was written, with the file as `F`.
struct State<F = Staged> {
    staged: F,
    hasher: Hasher,
    /// What an earlier run wrote was not hashed yet.
    is_behind: bool,
}

/// A staged file, closed while nobody writes it.
enum Handle {
    Open(Staged),
    Parked(ParkedFile),
}

impl State<Handle> {
    fn of(staged: Staged, algorithm: Algorithm, is_behind: bool) -> Self {
        Self { staged: Handle::Open(staged), hasher: Hasher::new(algorithm), is_behind }
    }

    fn path(&self) -> &Path {
        match &self.staged {
            Handle::Open(staged) => staged.path(),
            Handle::Parked(parked) => parked.path(),
        }
    }

    /// Opens the file of `written` bytes if it is closed. May block.
    fn open(self, written: u64) -> Result<State> {
        let Self { staged, hasher, is_behind } = self;
        let staged = match staged {
            Handle::Open(staged) => staged,
            Handle::Parked(parked) => parked.reopen(written)?,
        };
        Ok(State { staged, hasher, is_behind })
    }

    fn parked(self) -> Self {
        let staged = match self.staged {
            Handle::Open(staged) => Handle::Parked(staged.park()),
            parked @ Handle::Parked(_) => parked,
        };
        Self { staged, ..self }
    }
}

impl LayoutIngest {
    /// Begins; under a name, if given, the content stays until it is committed or aborted.
    pub(crate) async fn new(
        layout: Layout,
        name: Option<&str>,
        media_type: MediaType,
        algorithm: Algorithm,
    ) -> Result<Self> {
        let root = layout.path().to_owned();
        let path = name.map(|name| named(&root, name)).transpose()?;
        let (staged, made) = blocking(move || create(&root, path.as_deref())).await?;
        let state = Some(State::of(staged, algorithm, false));
        Ok(Self { layout, media_type, algorithm, state, written: 0, is_named: name.is_some(), _made: made })
    }

    /// Goes on with what was begun under that name, if it is there.
    pub(crate) async fn resume(
        layout: Layout,
        name: &str,
        media_type: MediaType,
        algorithm: Algorithm,
    ) -> Result<Option<Self>> {
        let root = layout.path().to_owned();
        let path = named(&root, name)?;
        let found = blocking(move || {
            let Some(mut staged) = Staged::reopen(&path)? else { return Ok(None) };
            let written = staged.file_mut().seek(SeekFrom::End(0)).map_err(failed)?;
            staged.flush_while_written();
            Ok(Some((staged, written, Made::of_resumed(&root))))
        });
        Ok(found.await?.map(|(staged, written, made)| {
            let state = Some(State::of(staged, algorithm, written > 0));
            Self { layout, media_type, algorithm, state, written, is_named: true, _made: made }
        }))
    }

    fn take(&mut self) -> Result<State<Handle>> {
        self.state.take().ok_or_else(|| Error::new(Kind::Other, "an earlier write of this content failed"))
    }
}

impl State {
    fn closable(self) -> State<Handle> {
        let Self { staged, hasher, is_behind } = self;
        State { staged: Handle::Open(staged), hasher, is_behind }
    }

    fn write(&mut self, chunks: &[Bytes]) -> Result<()> {
        self.catch_up()?;
        for chunk in chunks {
            self.staged.write_all(chunk).map_err(failed)?;
            self.hasher.update(chunk);
        }
        Ok(())
    }

    /// Hashes what an earlier run wrote, and goes to the end of the file.
    fn catch_up(&mut self) -> Result<()> {
        if std::mem::take(&mut self.is_behind) {
            feed(&mut self.staged, &mut self.hasher)?;
            self.staged.file_mut().seek(SeekFrom::End(0)).map_err(failed)?;
        }
        Ok(())
    }
}

/// Shows `hasher` what is in the file.
fn feed(staged: &mut Staged, hasher: &mut Hasher) -> Result<()> {
    let file = staged.file_mut();
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    let fed = fsio::read_through(&*file, |piece| {
        hasher.update(piece);
        ControlFlow::Continue(())
    });
    fed.map(drop).map_err(failed)
}

/// Where the content of that name is.
fn named(root: &Path, name: &str) -> Result<PathBuf> {
    let is_name = !name.is_empty()
        && name.len() <= LONGEST_NAME
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if is_name {
        return Ok(root.join(format!("{NAMED}{name}")));
    }
    Err(Error::new(Kind::InvalidInput, format!("nothing that is written can be named {name:?}")))
}

/// A staged file in `root`, at `path` if given. No layout is made yet: there is nothing to put in it.
fn create(root: &Path, path: Option<&Path>) -> Result<(Staged, Made)> {
    let mut tries = TRIES;
    loop {
        let made = Made::make(root)?;
        let staged = match path {
            Some(path) => Staged::create_kept(path),
            None => Staged::create(root),
        };
        tries -= 1;
        match staged {
            Ok(mut staged) => {
                staged.flush_while_written();
                return Ok((staged, made));
            }
            // Whoever made the directory gave up what it was for.
            Err(_) if tries > 0 && !root.is_dir() => {}
            Err(error) => return Err(error),
        }
    }
}

/// Directories that were made for content that may never come, the deepest first: those that are empty in the end go.
struct Made(Vec<PathBuf>);

impl Made {
    fn make(directory: &Path) -> Result<Self> {
        // What the system can't tell of is not ours to remove.
        let missing =
            |path: &&Path| !path.as_os_str().is_empty() && path.try_exists().is_ok_and(|found| !found);
        let made = Self(directory.ancestors().take_while(missing).map(ToOwned::to_owned).collect());
        fsio::create_directories(directory)?;
        Ok(made)
    }

    /// That of content whose beginning made it in another run, unless it became a layout.
    fn of_resumed(root: &Path) -> Self {
        let is_layout = root.join(MARKER_FILE).try_exists().unwrap_or(true);
        Self(if is_layout { Vec::new() } else { vec![root.to_owned()] })
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        // One that has something in it is not removed.
        drop(self.0.iter().try_for_each(fs::remove_dir));
    }
}

fn failed(error: std::io::Error) -> Error {
    Error::io("failed to write a blob", error)
}

/// The digest of the staged bytes under another algorithm.
fn rehash(staged: &mut Staged, algorithm: Algorithm) -> Result<Digest> {
    let mut hasher = Hasher::new(algorithm);
    feed(staged, &mut hasher)?;
    Ok(hasher.finish())
}

/// Refuses staged bytes that are no manifest of their type.
fn check(staged: &mut Staged, media_type: &MediaType) -> Result<()> {
    let mut bytes = Vec::new();
    let file = staged.file_mut();
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    file.take(MAX_STORED_MANIFEST).read_to_end(&mut bytes).map_err(failed)?;
    Manifest::parse(media_type, bytes.into())?;
    Ok(())
}

#[async_trait]
impl Ingest for LayoutIngest {
    fn park(&mut self) {
        // A file without a name is gone when it is closed.
        if self.is_named {
            self.state = self.state.take().map(State::parked);
        }
    }

    async fn write(&mut self, chunk: Bytes) -> Result<()> {
        self.write_all(vec![chunk]).await
    }

    async fn write_all(&mut self, chunks: Vec<Bytes>) -> Result<()> {
        let (state, before) = (self.take()?, self.written);
        let length: u64 = chunks.iter().map(|chunk| chunk.len() as u64).sum();
        let state = blocking(move || {
            let mut state = state.open(before)?;
            let written = state.write(&chunks);
            if written.is_err() {
                // What can't be written is not kept: the disk may be full of it.
                state.staged.release();
            }
            written.map(|()| state.closable())
        });
        self.state = Some(state.await?);
        self.written += length;
        Ok(())
    }

    fn written(&self) -> u64 {
        self.written
    }

    async fn read_back(&mut self) -> Option<ReadBack> {
        let path = self.state.as_ref()?.path().to_owned();
        let name = path.display().to_string();
        // A handle of its own: where a file stands may be shared by all that were made of one.
        let open = blocking(move || File::open(&path).map_err(failed)).await;
        let file = Arc::new(open.ok()?);
        Some(Arc::new(move |range| fsio::read(Arc::clone(&file), range, name.clone())))
    }

    async fn commit(mut self: Box<Self>, expected: Option<&Digest>) -> Result<Descriptor> {
        let (state, written) = (self.take()?, self.written);
        let (layout, expected, algorithm) = (self.layout.clone(), expected.cloned(), self.algorithm);
        let media_type = self.media_type.clone();
        let digest = blocking(move || {
            let mut state = state.open(written)?;
            // Whatever comes of it, it can't be gone on with.
            state.staged.release();
            let digest = match expected.as_ref().and_then(Digest::algorithm) {
                Some(other) if other != algorithm => rehash(&mut state.staged, other)?,
                _ => {
                    state.catch_up()?;
                    state.hasher.finish()
                }
            };
            let mut staged = state.staged;
            if let Some(expected) = expected.filter(|expected| *expected != digest) {
                let message = format!("mismatched digest: expected {expected}, got {digest}");
                return Err(Error::new(Kind::DigestMismatch, message));
            }
            if media_type.is_manifest() {
                check(&mut staged, &media_type)?;
            }
            staged.sync()?;
            journal::create(layout.path())?;
            blobs::publish(&layout, staged, &digest)?;
            Ok(digest)
        })
        .await?;
        let descriptor = Descriptor::new(self.media_type.clone(), digest, self.written);
        if descriptor.media_type.is_manifest() {
            self.layout.change(Change::List(descriptor.clone())).await?;
        }
        Ok(descriptor)
    }

    async fn abort(mut self: Box<Self>) {
        match self.state.take().map(|state| state.staged) {
            Some(Handle::Open(mut staged)) => staged.release(),
            Some(Handle::Parked(parked)) => parked.remove(),
            None => {}
        }
    }
}
