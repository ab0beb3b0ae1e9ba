//! What was read from files that may change while the server runs.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

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
        let stamp = stamp(&files);
        let state = State { value: Arc::new(read(&files).map_err(failed)?), stamp, looked: Instant::now() };
        Ok(Self { what, files, read, state: Mutex::new(state) })
    }

    /// What is in the files, as of a second ago at most.
    pub(crate) fn current(&self) -> Arc<T> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.looked.elapsed() >= LOOKED_AT {
            state.looked = Instant::now();
            let stamp = stamp(&self.files);
            if stamp != state.stamp {
                match (self.read)(&self.files) {
                    Ok(value) => {
                        state.value = Arc::new(value);
                        tracing::info!("{} read again", self.what);
                    }
                    Err(error) => tracing::warn!(%error, "{} changed and can't be used", self.what),
                }
                // Told once for each change.
                state.stamp = stamp;
            }
        }
        Arc::clone(&state.value)
    }
}

/// What is no file, such as a pipe, can be read once: it never changes.
fn stamp(files: &[PathBuf]) -> Stamp {
    let look = |path: &PathBuf| {
        let metadata = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
        Some((metadata.len(), metadata.modified().ok()?))
    };
    files.iter().map(look).collect()
}

/// The text of a file that people write.
pub(crate) fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let file = File::open(path).map_err(|error| unusable(path, error))?;
    let read = file.take(MAX_TEXT + 1).read_to_string(&mut text);
    let size = read.map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => unusable(path, "it is not UTF-8 text"),
        _ => unusable(path, error),
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
