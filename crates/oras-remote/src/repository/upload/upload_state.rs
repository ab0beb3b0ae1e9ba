//! The saved state of an interrupted upload, for a later run: one small file, locked while in use.
//!
//! The file is written in place, because a replacement would not have the lock. A partly written file counts as
//! missing. Its content is not trusted: the registry reports the offset and verifies the digest. A location may
//! contain a token, so the file is readable by its owner alone and the location is never shown.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use oras_spec::Digest;
use oras_store::{Error, Result, check_written_size};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::repository::repository::Repository;
use crate::repository::upload::unfinished_uploads::UnfinishedUploads;
use crate::repository::upload::upload_session::is_safe;

/// The minimum size in bytes of a blob whose upload a later run resumes. Smaller blobs are sent again.
const MIN_RESUMABLE_SIZE: u64 = 8 << 20;
/// The longest time for which a state is used. Registries delete sessions after a week at the latest.
const LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);
/// The maximum size in bytes of a state file.
const MAX_STATE: u64 = 64 << 10;
pub(crate) const EXTENSION: &str = "upload";

/// The content of a state file.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct UploadState {
    pub(crate) registry: String,
    pub(crate) repository: String,
    /// The digest, or the identity of content without a digest.
    pub(crate) name: String,
    pub(crate) size: u64,
    pub(crate) location: String,
}

/// The open state file of an upload. Dropping it keeps the file.
pub(crate) struct UploadStateFile {
    file: Arc<File>,
    path: PathBuf,
    state: UploadState,
    /// Whether an earlier run wrote the state.
    is_old: bool,
}

impl UploadStateFile {
    /// Opens the state of the upload of `name` to `repository`. Returns `None` if the blob is small, no directory is
    /// set, or another process uses the file.
    pub(crate) async fn open(repository: &Repository, name: &str, size: u64) -> Option<Self> {
        let directory = repository.client().options().unfinished_uploads.clone()?;
        if size < MIN_RESUMABLE_SIZE {
            return None;
        }
        let state = UploadState {
            registry: repository.endpoint().origin(),
            repository: repository.path().to_owned(),
            name: name.to_owned(),
            size,
            location: repository.endpoint().base().to_string(),
        };
        let opened = oras_fs::blocking(move || Ok(Self::open_in(&directory, state)));
        opened.await.ok()?.inspect_err(|error| tracing::debug!(%error, "an upload can't be saved")).ok()
    }

    fn open_in(directory: &Path, state: UploadState) -> std::io::Result<Self> {
        create_private(directory)?;
        // None of these fields contains a line break, so the key is unambiguous.
        let name = format!("{}\n{}\n{}", state.registry, state.repository, state.name);
        let name = Digest::sha256(name.as_bytes()).encoded();
        let path = directory.join(name).with_extension(EXTENSION);
        let file = open_private(&path)?;
        // The content is read only under the lock. Otherwise another process could replace it in between.
        // Fails if another process uploads the same blob. Then this process uploads it without saved state.
        file.try_lock()?;
        let found = read(&file).filter(|found| {
            let is_same = (&found.registry, &found.repository, &found.name, found.size)
                == (&state.registry, &state.repository, &state.name, state.size);
            is_same && age(&file) < LIFETIME && is_allowed_location(&found.location, &state.location)
        });
        if found.is_none() {
            // Deletes expired states when a new one is created.
            drop(UnfinishedUploads::new(directory).remove_older_than(LIFETIME));
        }
        let is_old = found.is_some();
        Ok(Self { file: Arc::new(file), path, state: found.unwrap_or(state), is_old })
    }

    /// Returns the upload location that an earlier run saved, if there is one.
    pub(crate) fn location(&self) -> Option<Url> {
        self.state.location.parse().ok().filter(|_| self.is_old)
    }

    /// Saves the location of the upload.
    pub(crate) async fn write(&mut self, location: &Url) {
        self.state.location = location.to_string();
        let (file, state) = (Arc::clone(&self.file), self.state.clone());
        let written = oras_fs::blocking(move || {
            let text = serde_json::to_vec(&state).unwrap_or_default();
            check_written_size("the state of an upload", text.len(), MAX_STATE)?;
            let mut file = &*file;
            file.rewind()
                .and_then(|()| file.write_all(&text))
                // Truncates after writing: a crash in between leaves trailing bytes, which make the state invalid.
                .and_then(|()| file.set_len(text.len() as u64))
                .map_err(|error| Error::io("failed to keep the state of an upload", error))
        });
        if let Err(error) = written.await {
            tracing::debug!(%error, "an upload can't be saved");
        }
    }

    /// Deletes the state.
    pub(crate) async fn remove(self) {
        let forgotten = oras_fs::blocking(move || {
            // Truncates the file first: another process may have opened it before it is deleted.
            drop(self.file.set_len(0));
            drop(std::fs::remove_file(&self.path));
            Ok(())
        });
        drop(forgotten.await);
    }
}

/// Returns true if a location may be requested on behalf of the registry at `base`.
pub(crate) fn is_allowed_location(location: &str, base: &str) -> bool {
    matches!((base.parse(), location.parse()), (Ok(base), Ok(location)) if is_safe(&base, &location))
}

/// Opens and locks the file, unless another process uses it.
pub(crate) fn lock_idle(path: &Path) -> Option<File> {
    let file = File::options().read(true).write(true).open(path).ok()?;
    file.try_lock().ok().map(|()| file)
}

pub(crate) fn remove(path: &Path) -> Result<bool> {
    match std::fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::io(format!("failed to remove {}", path.display()), error)),
    }
}

/// Reads the state in the file, if it is valid.
pub(crate) fn read(mut file: &File) -> Option<UploadState> {
    let mut text = Vec::new();
    file.rewind().ok()?;
    file.take(MAX_STATE).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

pub(crate) fn modified(file: &File) -> SystemTime {
    file.metadata().and_then(|metadata| metadata.modified()).unwrap_or(SystemTime::UNIX_EPOCH)
}

pub(crate) fn age(file: &File) -> Duration {
    modified(file).elapsed().unwrap_or_default()
}

fn create_private(directory: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}

fn open_private(path: &Path) -> std::io::Result<File> {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(name: &str) -> UploadState {
        UploadState {
            registry: "http://h:80".into(),
            repository: "a".into(),
            name: name.into(),
            size: MIN_RESUMABLE_SIZE,
            location: "http://h/".into(),
        }
    }

    #[tokio::test]
    async fn finds_and_deletes_saved_states() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("a/b");
        let uploads = UnfinishedUploads::new(&place);
        assert_eq!(uploads.list().unwrap(), []);
        let mut kept = UploadStateFile::open_in(&place, state("one")).unwrap();
        assert!(kept.location().is_none());
        let long = Url::parse("http://h/u?_state=long").unwrap();
        let short = Url::parse("http://h/u").unwrap();
        kept.write(&long).await;
        kept.write(&short).await;
        // A second process gets no state, and does not delete the file.
        assert!(UploadStateFile::open_in(&place, state("one")).is_err());
        assert_eq!(uploads.list().unwrap(), []);
        assert_eq!(uploads.remove_older_than(Duration::ZERO).unwrap(), 0);
        drop(kept);
        let found = uploads.list().unwrap();
        assert_eq!((found.len(), found[0].name.as_str(), found[0].size), (1, "one", MIN_RESUMABLE_SIZE));
        let kept = UploadStateFile::open_in(&place, state("one")).unwrap();
        assert_eq!(kept.location(), Some(short));
        assert!(!uploads.remove(&found[0]).unwrap());
        kept.remove().await;
        assert!(UploadStateFile::open_in(&place, state("one")).unwrap().location().is_none());
        let mut two = UploadStateFile::open_in(&place, state("two")).unwrap();
        two.write(&long).await;
        drop(two);
        assert_eq!(uploads.remove_older_than(Duration::from_secs(60)).unwrap(), 0);
        assert_eq!(uploads.remove_older_than(Duration::ZERO).unwrap(), 2);
        assert_eq!(uploads.list().unwrap(), []);
    }

    #[tokio::test]
    async fn rejects_expired_and_foreign_states() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path();
        let mut kept = UploadStateFile::open_in(place, state("one")).unwrap();
        kept.write(&Url::parse("http://h/u").unwrap()).await;
        let path = kept.path.clone();
        drop(kept);
        let other_size = UploadState { size: MIN_RESUMABLE_SIZE + 1, ..state("one") };
        assert!(UploadStateFile::open_in(place, other_size).unwrap().location().is_none());
        // An HTTP location is rejected for an HTTPS registry.
        let secure = UploadState { location: "https://h/".into(), ..state("one") };
        assert!(UploadStateFile::open_in(place, secure).unwrap().location().is_none());
        let old = SystemTime::now() - LIFETIME - Duration::from_secs(1);
        let set = |time| File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        set(old);
        assert!(UploadStateFile::open_in(place, state("one")).unwrap().location().is_none());
        set(SystemTime::now());
        assert!(UploadStateFile::open_in(place, state("one")).unwrap().location().is_some());
        File::options().write(true).open(&path).unwrap().set_len(9).unwrap();
        assert!(UploadStateFile::open_in(place, state("one")).unwrap().location().is_none());
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn state_files_are_private() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("uploads");
        let kept = UploadStateFile::open_in(&place, state("one")).unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&place), mode(&kept.path)), (0o700, 0o600));
    }
}
