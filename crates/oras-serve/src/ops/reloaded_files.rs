//! Values read from files, which are reloaded when the files change.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;

use super::config_file::{Misconfigured, unreadable};

/// The files are checked for changes at most this often.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// A value that is parsed from files, and parsed again when they change. If the changed content is invalid, for example
/// while a file is being replaced, the previous value stays.
pub(crate) struct ReloadedFiles<T, const N: usize = 1> {
    what: &'static str,
    files: [PathBuf; N],
    read: fn(&[PathBuf; N]) -> io::Result<T>,
    loaded: Mutex<Loaded<T>>,
}

struct Loaded<T> {
    value: Arc<T>,
    stamp: Stamp,
    checked_at: Instant,
}

/// The size and modification time of each file; `None` for a missing file and for a path that is not a regular file.
type Stamp = Vec<Option<(u64, SystemTime)>>;

impl<T, const N: usize> ReloadedFiles<T, N> {
    /// Reads the files with `read`. `what` names their content in log lines.
    ///
    /// # Errors
    /// [`Misconfigured`] if the files can't be read or their content is invalid.
    pub(crate) fn new(
        what: &'static str,
        files: [PathBuf; N],
        read: fn(&[PathBuf; N]) -> io::Result<T>,
    ) -> io::Result<Self> {
        let failed =
            |error: io::Error| io::Error::from(Misconfigured(format!("failed to read {what}: {error}")));
        // The stamp is taken before the read, so that the next check detects a change during the read.
        let stamp = stamp(&files).map_err(failed)?;
        let loaded =
            Loaded { value: Arc::new(read(&files).map_err(failed)?), stamp, checked_at: Instant::now() };
        Ok(Self { what, files, read, loaded: Mutex::new(loaded) })
    }

    /// Returns the value, at most one second old.
    pub(crate) fn current(&self) -> Arc<T> {
        let mut loaded = self.loaded.lock();
        // Polling works on every file system, also for files that are replaced by a rename or behind links.
        if loaded.checked_at.elapsed() >= CHECK_INTERVAL {
            // Set before the check, so that an error is not logged for every request.
            loaded.checked_at = Instant::now();
            if let Err(error) = self.reload_if_changed(&mut loaded) {
                tracing::warn!(%error, "{} could not be read again", self.what);
            }
        }
        Arc::clone(&loaded.value)
    }

    /// Reloads the files if they have changed.
    ///
    /// # Errors
    /// System errors; the files are then read again at the next check.
    fn reload_if_changed(&self, loaded: &mut Loaded<T>) -> io::Result<()> {
        let stamp = stamp(&self.files)?;
        if stamp == loaded.stamp {
            return Ok(());
        }
        match (self.read)(&self.files) {
            Ok(value) => {
                loaded.value = Arc::new(value);
                tracing::info!("{} read again", self.what);
            }
            // A missing file may be one that is being replaced. Its stamp changes when it is back.
            Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::NotFound) => {
                tracing::warn!(%error, "{} changed and can't be used", self.what);
            }
            Err(error) => return Err(error),
        }
        // The stamp is also set if the new content is invalid, so that the warning is logged once.
        loaded.stamp = stamp;
        Ok(())
    }
}

/// Stats the files. A pipe can be read only once, so it counts as unchanged.
///
/// # Errors
/// System errors other than a missing file.
fn stamp(files: &[PathBuf]) -> io::Result<Stamp> {
    let stat = |path: &PathBuf| match fs::metadata(path) {
        Ok(found) if found.is_file() => Ok(found.modified().ok().map(|modified| (found.len(), modified))),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unreadable(path, &error)),
    };
    files.iter().map(stat).collect()
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    use crate::ops::config_file::read;

    fn reread(path: &Path) -> ReloadedFiles<String> {
        ReloadedFiles::new("the test", [path.to_owned()], |[path]| read(path)).unwrap()
    }

    #[test]
    fn reloads_a_change_once_the_file_is_readable() {
        let directory = tempfile::tempdir().unwrap();
        let (path, link) = (directory.path().join("file"), directory.path().join("link"));
        let replace = |text: &[u8]| oras_fs::replace(&path, text, 0o666).unwrap();
        let point = |to: &Path| {
            drop(fs::remove_file(&link));
            std::os::unix::fs::symlink(to, &link).unwrap();
        };
        replace(b"one");
        point(&path);
        let known = reread(&link);
        let text = || {
            known.loaded.lock().checked_at = Instant::now() - CHECK_INTERVAL;
            known.current().to_string()
        };
        // A link to itself fails with another error than a missing file.
        point(&link);
        let stamp = known.loaded.lock().stamp.clone();
        assert!(text() == "one" && known.loaded.lock().stamp == stamp, "it is unknown what is there");
        replace(b"two, longer");
        point(&path);
        assert_eq!(text(), "two, longer");
        fs::remove_file(&link).unwrap();
        assert!(text() == "two, longer" && known.loaded.lock().stamp != stamp, "it is missing");
        point(&path);
        assert_eq!(text(), "two, longer");
    }
}
