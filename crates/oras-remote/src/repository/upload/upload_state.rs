//! Uploads that were not finished, kept for a later run: one small file for each, locked by whoever works on it.
//!
//! The file is written in place, because the lock is on it: one that is torn is one that is not there. What it says is
//! never believed, only asked about: the registry tells how much it has, and checks the digest in the end. A location
//! may hold a token, so that the file is for its owner's eyes alone and its location is shown to nobody.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use oras_spec::Digest;
use oras_store::{Error, Result, check_written_size, fsio};
use serde::{Deserialize, Serialize};
use url::Url;

use super::session::is_safe;
use crate::repository::Repository;

/// Smaller blobs are sent again.
const KEEP_FROM: u64 = 8 << 20;
/// Registries forget sessions after a week, if not earlier.
const LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);
/// The largest state that is read.
const MAX_STATE: u64 = 64 << 10;
/// The most states that are looked at.
const MAX_STATES: usize = 10_000;
const EXTENSION: &str = "upload";

/// The state of one upload.
#[derive(Clone, Serialize, Deserialize)]
struct State {
    registry: String,
    repository: String,
    /// The digest, or the identity of bytes that had none yet.
    name: String,
    size: u64,
    location: String,
}

/// The state of an upload that is going on; dropping it keeps it.
pub(super) struct Kept {
    file: Arc<File>,
    path: PathBuf,
    state: State,
    /// Whether the state was found.
    is_old: bool,
}

impl Kept {
    /// The state of the upload of `name` to `repository`, found or new; `None` where nothing can or need be kept, or
    /// another process is at it.
    pub(super) async fn open(repository: &Repository, name: &str, size: u64) -> Option<Self> {
        let directory = repository.client().options().unfinished_uploads.clone()?;
        if size < KEEP_FROM {
            return None;
        }
        let state = State {
            registry: repository.endpoint().origin(),
            repository: repository.path().to_owned(),
            name: name.to_owned(),
            size,
            location: repository.endpoint().base().to_string(),
        };
        let opened = fsio::blocking(move || Ok(Self::open_in(&directory, state)));
        opened.await.ok()?.inspect_err(|error| tracing::debug!(%error, "an upload is not kept")).ok()
    }

    fn open_in(directory: &Path, state: State) -> std::io::Result<Self> {
        create_private(directory)?;
        // A registry, a repository and a name have no line breaks.
        let name = format!("{}\n{}\n{}", state.registry, state.repository, state.name);
        let name = Digest::sha256(name.as_bytes()).encoded();
        let path = directory.join(name).with_extension(EXTENSION);
        let file = open_private(&path)?;
        lock(&file)?;
        let found = read(&file).filter(|found| {
            let is_same = (&found.registry, &found.repository, &found.name, found.size)
                == (&state.registry, &state.repository, &state.name, state.size);
            is_same && age(&file) < LIFETIME && leads_on(&found.location, &state.location)
        });
        if found.is_none() {
            // It is as good a time as any.
            drop(UnfinishedUploads::new(directory).remove_older_than(LIFETIME));
        }
        let is_old = found.is_some();
        Ok(Self { file: Arc::new(file), path, state: found.unwrap_or(state), is_old })
    }

    /// Where an earlier run was told to go on.
    pub(super) fn location(&self) -> Option<Url> {
        self.state.location.parse().ok().filter(|_| self.is_old)
    }

    /// Remembers where the upload goes on.
    pub(super) async fn write(&mut self, location: &Url) {
        self.state.location = location.to_string();
        let (file, state) = (Arc::clone(&self.file), self.state.clone());
        let written = fsio::blocking(move || {
            let text = serde_json::to_vec(&state).unwrap_or_default();
            check_written_size("the state of an upload", text.len(), MAX_STATE)?;
            let mut file = &*file;
            file.rewind()
                .and_then(|()| file.write_all(&text))
                .and_then(|()| file.set_len(text.len() as u64))
                .map_err(|error| Error::io("failed to keep the state of an upload", error))
        });
        if let Err(error) = written.await {
            tracing::debug!(%error, "an upload is not kept");
        }
    }

    /// Forgets the upload.
    pub(super) async fn remove(self) {
        let forgotten = fsio::blocking(move || {
            // Emptied first: another process may have opened it already, and waits for nobody.
            drop(self.file.set_len(0));
            drop(std::fs::remove_file(&self.path));
            Ok(())
        });
        drop(forgotten.await);
    }
}

/// An upload that was not finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnfinishedUpload {
    /// Scheme, host and port of the registry.
    pub registry: String,
    /// The repository there.
    pub repository: String,
    /// The digest of the blob, or what else it was known by.
    pub name: String,
    /// The size of the whole blob in bytes.
    pub size: u64,
    /// When the upload last went on.
    pub touched: SystemTime,
    path: PathBuf,
}

/// The uploads whose state is kept in a directory, so that a later run goes on with them
/// ([`ClientOptions::unfinished_uploads`](crate::ClientOptions::unfinished_uploads)).
///
/// What is removed here costs bytes that are sent again, nothing else. The registry forgets its part by itself.
#[derive(Clone, Debug)]
pub struct UnfinishedUploads {
    directory: PathBuf,
}

impl UnfinishedUpload {
    /// The file, locked, with where the upload goes on if that may be asked; `None` when a process is at it, or it is
    /// another upload's by now.
    pub(super) fn take(&self) -> Option<(File, Option<Url>)> {
        let file = idle(&self.path)?;
        let state = read(&file)?;
        let is_same = (&state.registry, &state.repository, &state.name)
            == (&self.registry, &self.repository, &self.name);
        let location = state.location.parse().ok();
        is_same.then(|| (file, location.filter(|_| leads_on(&state.location, &self.registry))))
    }

    /// Removes the file; whether it was there.
    pub(super) fn remove_file(&self) -> Result<bool> {
        remove(&self.path)
    }
}

impl UnfinishedUploads {
    /// The uploads that are kept in `directory`, which need not exist.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }

    /// All uploads that no process is at, the oldest first. Files that can't be read as one are left out.
    ///
    /// # Errors
    /// `Io` when the directory can't be read.
    pub fn list(&self) -> Result<Vec<UnfinishedUpload>> {
        let mut found = Vec::new();
        for path in self.files()? {
            let Some(file) = idle(&path) else { continue };
            let Some(state) = read(&file) else { continue };
            let State { registry, repository, name, size, .. } = state;
            let touched = modified(&file);
            found.push(UnfinishedUpload { registry, repository, name, size, touched, path });
        }
        found.sort_by(|one, other| (one.touched, &one.path).cmp(&(other.touched, &other.path)));
        Ok(found)
    }

    /// Forgets an upload, unless a process is at it; whether it was there to be forgotten.
    ///
    /// # Errors
    /// `Io` when the file can't be removed.
    pub fn remove(&self, upload: &UnfinishedUpload) -> Result<bool> {
        match idle(&upload.path) {
            Some(_locked) => remove(&upload.path),
            None => Ok(false),
        }
    }

    /// Forgets the uploads that did not go on for as long as `age`, and files that are none; how many.
    ///
    /// # Errors
    /// `Io` when the directory can't be read or a file can't be removed.
    pub fn remove_older_than(&self, age_limit: Duration) -> Result<usize> {
        let mut removed = 0;
        for path in self.files()? {
            if let Some(file) = idle(&path)
                && age(&file) >= age_limit
                && remove(&path)?
            {
                removed += 1;
            }
        }
        Ok(removed)
    }

    fn files(&self) -> Result<Vec<PathBuf>> {
        let failed = |error| Error::io(format!("failed to read {}", self.directory.display()), error);
        let entries = match std::fs::read_dir(&self.directory) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        let mut files = Vec::new();
        for entry in entries.take(MAX_STATES) {
            let entry = entry.map_err(failed)?;
            let path = entry.path();
            if path.extension().is_some_and(|extension| extension == EXTENSION)
                && entry.file_type().is_ok_and(|kind| kind.is_file())
            {
                files.push(path);
            }
        }
        Ok(files)
    }
}

/// Whether a location may be asked on behalf of the registry at `base`.
fn leads_on(location: &str, base: &str) -> bool {
    matches!((base.parse(), location.parse()), (Ok(base), Ok(location)) if is_safe(&base, &location))
}

/// The file, locked, unless another process is at it.
fn idle(path: &Path) -> Option<File> {
    let file = File::options().read(true).write(true).open(path).ok()?;
    lock(&file).ok().map(|()| file)
}

fn remove(path: &Path) -> Result<bool> {
    match std::fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::io(format!("failed to remove {}", path.display()), error)),
    }
}

fn lock(file: &File) -> std::io::Result<()> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(std::io::ErrorKind::ResourceBusy.into()),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// What the file says, if it is a state.
fn read(mut file: &File) -> Option<State> {
    let mut text = Vec::new();
    file.rewind().ok()?;
    file.take(MAX_STATE).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

fn modified(file: &File) -> SystemTime {
    file.metadata().and_then(|metadata| metadata.modified()).unwrap_or(SystemTime::UNIX_EPOCH)
}

fn age(file: &File) -> Duration {
    modified(file).elapsed().unwrap_or_default()
}

#[cfg(unix)]
fn create_private(directory: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

#[cfg(not(unix))]
fn create_private(directory: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(directory)
}

fn open_private(path: &Path) -> std::io::Result<File> {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(name: &str) -> State {
        State {
            registry: "http://h:80".into(),
            repository: "a".into(),
            name: name.into(),
            size: KEEP_FROM,
            location: "http://h/".into(),
        }
    }

    #[tokio::test]
    async fn states_are_found_again_and_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("a/b");
        let uploads = UnfinishedUploads::new(&place);
        assert_eq!(uploads.list().unwrap(), []);
        let mut kept = Kept::open_in(&place, state("one")).unwrap();
        assert!(kept.location().is_none());
        let long = Url::parse("http://h/u?_state=long").unwrap();
        let short = Url::parse("http://h/u").unwrap();
        kept.write(&long).await;
        kept.write(&short).await;
        // Whoever comes second does without, and nobody takes it away.
        assert!(Kept::open_in(&place, state("one")).is_err());
        assert_eq!(uploads.list().unwrap(), []);
        assert_eq!(uploads.remove_older_than(Duration::ZERO).unwrap(), 0);
        drop(kept);
        let found = uploads.list().unwrap();
        assert_eq!((found.len(), found[0].name.as_str(), found[0].size), (1, "one", KEEP_FROM));
        let kept = Kept::open_in(&place, state("one")).unwrap();
        assert_eq!(kept.location(), Some(short));
        assert!(!uploads.remove(&found[0]).unwrap());
        kept.remove().await;
        assert!(Kept::open_in(&place, state("one")).unwrap().location().is_none());
        let mut two = Kept::open_in(&place, state("two")).unwrap();
        two.write(&long).await;
        drop(two);
        assert_eq!(uploads.remove_older_than(Duration::from_secs(60)).unwrap(), 0);
        assert_eq!(uploads.remove_older_than(Duration::ZERO).unwrap(), 2);
        assert_eq!(uploads.list().unwrap(), []);
    }

    #[tokio::test]
    async fn what_is_kept_is_not_believed() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path();
        let mut kept = Kept::open_in(place, state("one")).unwrap();
        kept.write(&Url::parse("http://h/u").unwrap()).await;
        let path = kept.path.clone();
        drop(kept);
        let other_size = State { size: KEEP_FROM + 1, ..state("one") };
        assert!(Kept::open_in(place, other_size).unwrap().location().is_none());
        // Written for HTTPS, it leads to HTTP.
        let secure = State { location: "https://h/".into(), ..state("one") };
        assert!(Kept::open_in(place, secure).unwrap().location().is_none());
        let old = SystemTime::now() - LIFETIME - Duration::from_secs(1);
        let set = |time| File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        set(old);
        assert!(Kept::open_in(place, state("one")).unwrap().location().is_none());
        set(SystemTime::now());
        assert!(Kept::open_in(place, state("one")).unwrap().location().is_some());
        File::options().write(true).open(&path).unwrap().set_len(9).unwrap();
        assert!(Kept::open_in(place, state("one")).unwrap().location().is_none());
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn states_are_private() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("uploads");
        let kept = Kept::open_in(&place, state("one")).unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&place), mode(&kept.path)), (0o700, 0o600));
    }
}
