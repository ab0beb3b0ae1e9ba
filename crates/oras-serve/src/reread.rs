//! What was read from files that may change while the server runs.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;

/// How often the files are looked at, at most.
const LOOKED_AT: Duration = Duration::from_secs(1);
/// Bytes of text at most.
const MAX_TEXT: u64 = 1024 * 1024;

/// What is in some files now. Files that changed and can't be used, which may be while they are being replaced, change
/// nothing.
pub(crate) struct Reread<T> {
    what: &'static str,
    files: Vec<PathBuf>,
    read: fn(&[PathBuf]) -> io::Result<T>,
    state: Mutex<State<T>>,
}

struct State<T> {
    value: Arc<T>,
    stamp: Stamp,
    looked: Instant,
}

type Stamp = Vec<Option<(u64, SystemTime)>>;

impl<T> Reread<T> {
    /// Reads the files, which must be usable; `what` they have is told when they are read again.
    pub(crate) fn new(
        what: &'static str,
        files: Vec<PathBuf>,
        read: fn(&[PathBuf]) -> io::Result<T>,
    ) -> io::Result<Self> {
        let failed =
            |error: io::Error| io::Error::from(Misconfigured(format!("failed to read {what}: {error}")));
        // Before they are read: what changes meanwhile is read again.
        let stamp = stamp(&files).map_err(failed)?;
        let state = State { value: Arc::new(read(&files).map_err(failed)?), stamp, looked: Instant::now() };
        Ok(Self { what, files, read, state: Mutex::new(state) })
    }

    /// What is in the files, as of a second ago at most.
    pub(crate) fn current(&self) -> Arc<T> {
        let mut state = self.state.lock();
        if state.looked.elapsed() >= LOOKED_AT {
            state.looked = Instant::now();
            if let Err(error) = self.look(&mut state) {
                tracing::warn!(%error, "{} could not be read again", self.what);
            }
        }
        Arc::clone(&state.value)
    }

    /// Reads the files again if they have changed.
    ///
    /// # Errors
    /// Those of the system, after which the files are read again the next time.
    fn look(&self, state: &mut State<T>) -> io::Result<()> {
        let stamp = stamp(&self.files)?;
        if stamp == state.stamp {
            return Ok(());
        }
        match (self.read)(&self.files) {
            Ok(value) => {
                state.value = Arc::new(value);
                tracing::info!("{} read again", self.what);
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::NotFound) => {
                tracing::warn!(%error, "{} changed and can't be used", self.what);
            }
            Err(error) => return Err(error),
        }
        // A change that can't be used is logged once.
        state.stamp = stamp;
        Ok(())
    }
}

/// Returns size and time of each file; `None` for one that is missing. What is no file, such as a pipe, can be read once: it
/// never changes.
///
/// # Errors
/// Those of the system: nobody knows then whether a file is there.
fn stamp(files: &[PathBuf]) -> io::Result<Stamp> {
    let look = |path: &PathBuf| match fs::metadata(path) {
        Ok(found) if found.is_file() => Ok(found.modified().ok().map(|modified| (found.len(), modified))),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unreadable(path, &error)),
    };
    files.iter().map(look).collect()
}

/// The text of a file that people write.
pub(crate) fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    let read = file.take(MAX_TEXT + 1).read_to_string(&mut text);
    let size = read.map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => unusable(path, "it is not UTF-8 text"),
        _ => unreadable(path, &error),
    })?;
    if size as u64 > MAX_TEXT { Err(unusable(path, "too large")) } else { Ok(text) }
}

/// The text without the byte order mark that some editors put before it.
pub(crate) fn without_bom(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// What a server was given that it can't use: a file, or a value of its [`Options`](crate::Options). Inside of the
/// [`io::Error`] of [`Server::bind`](crate::Server::bind), it tells such an error from one of the address.
#[derive(Debug)]
pub struct Misconfigured(pub(crate) String);

impl fmt::Display for Misconfigured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Misconfigured {}

impl From<Misconfigured> for io::Error {
    fn from(error: Misconfigured) -> Self {
        Self::new(io::ErrorKind::InvalidInput, error)
    }
}

/// An error that tells of which file it is.
pub(crate) fn unusable(path: &Path, error: impl fmt::Display) -> io::Error {
    let text = error.to_string();
    // The number of an error of the system tells people nothing.
    let words = text.split(" (os error").next().unwrap_or_default();
    Misconfigured(format!("{}: {words}", path.display())).into()
}

/// The same of an error of the system, whose kind it keeps.
pub(crate) fn unreadable(path: &Path, error: &io::Error) -> io::Error {
    let words = unusable(path, error).to_string();
    io::Error::new(error.kind(), Misconfigured(words))
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;

    fn reread(path: &Path) -> Reread<String> {
        Reread::new("the test", vec![path.to_owned()], |files| read(&files[0])).unwrap()
    }

    #[test]
    fn a_change_is_read_once_the_system_can_read_it() {
        let directory = tempfile::tempdir().unwrap();
        let (path, link) = (directory.path().join("file"), directory.path().join("link"));
        let replace = |text: &[u8]| oras_store::fsio::replace(&path, text, 0o666).unwrap();
        let point = |to: &Path| {
            drop(fs::remove_file(&link));
            std::os::unix::fs::symlink(to, &link).unwrap();
        };
        replace(b"one");
        point(&path);
        let known = reread(&link);
        let text = || {
            known.state.lock().looked = Instant::now() - LOOKED_AT;
            known.current().to_string()
        };
        // A link to itself can't be followed, which is another error than that of a missing file.
        point(&link);
        let stamp = known.state.lock().stamp.clone();
        assert!(text() == "one" && known.state.lock().stamp == stamp, "nobody knows what is there");
        replace(b"two, longer");
        point(&path);
        assert_eq!(text(), "two, longer");
        fs::remove_file(&link).unwrap();
        assert!(text() == "two, longer" && known.state.lock().stamp != stamp, "it is missing");
        point(&path);
        assert_eq!(text(), "two, longer");
    }
}
