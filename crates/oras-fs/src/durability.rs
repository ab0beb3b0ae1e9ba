//! Decides which files are flushed to the disk (fsync), and flushes files and directories.

use std::fs::File;
use std::io;
use std::path::Path;
use std::thread::{self, JoinHandle};

use crate::io_error::{failed_to, is_refused};
use crate::warnings::warn_of_missing_flush;
use oras_store::Result;

/// Whether written files are flushed to the disk before they are published. Stores flush them, because a tag must not
/// name content that a power failure loses; a pull does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Flushed: after a power failure a file is complete or absent. Stores use this.
    Synced,
    /// Not flushed: the operating system writes the bytes later. Commands that write a user's files use this.
    Relaxed,
}

/// Flushes the entries of `directory` to the disk, so that a rename in it survives a power failure.
///
/// Does nothing on systems other than Unix, which cannot flush a directory.
///
/// # Errors
/// `Io` if the directory cannot be opened or flushed.
pub fn sync_directory(directory: &Path) -> Result<()> {
    flush_directory(directory, File::open(directory))
}

/// Flushes a directory that was opened, or returns the error of opening it.
pub(crate) fn flush_directory(directory: &Path, opened: io::Result<File>) -> Result<()> {
    if cfg!(unix) {
        let failed = failed_to("flush", directory);
        match opened.map_err(failed)?.sync_all() {
            // CIFS and some FUSE file systems cannot flush directories.
            Err(error) if is_refused(&error) => {}
            flushed => flushed.map_err(failed)?,
        }
    }
    Ok(())
}

/// Flushes `file` to the disk. If the file system cannot flush, logs a warning instead of returning an error.
pub(crate) fn sync_file(file: &File) -> io::Result<()> {
    warn_if_refused(file.sync_all())
}

fn warn_if_refused(flushed: io::Result<()>) -> io::Result<()> {
    match flushed {
        Err(error) if is_refused(&error) => {
            warn_of_missing_flush();
            Ok(())
        }
        synced => synced,
    }
}

/// The number of bytes written between two flushes. Each flush costs a commit of the file system, so flushes are rare.
const FLUSH_INTERVAL: u64 = 32 << 20;

/// A flush that runs in the background while its file is being written.
///
/// The disk writes during the transfer, so the final flush takes little time. At most one thread flushes at a time.
/// A file of less than [`FLUSH_INTERVAL`] bytes is not flushed in the background.
#[derive(Debug, Default)]
pub(crate) struct BackgroundFlush {
    unflushed: u64,
    running: Option<JoinHandle<io::Result<()>>>,
}

impl BackgroundFlush {
    /// Records that `count` more bytes were written to `file`, and starts a flush after every [`FLUSH_INTERVAL`] bytes.
    ///
    /// # Errors
    /// The error of the previous flush.
    pub(crate) fn record_write(&mut self, file: &File, count: usize) -> io::Result<()> {
        self.unflushed += count as u64;
        if self.unflushed < FLUSH_INTERVAL
            || self.running.as_ref().is_some_and(|running| !running.is_finished())
        {
            return Ok(());
        }
        // The previous flush has ended, so this does not block. It only returns the error of that flush.
        self.wait()?;
        self.unflushed = 0;
        // If the system cannot supply a file handle or thread, the final flush writes all bytes.
        let started = file.try_clone().and_then(|file| {
            // Flushing the data is enough here, because the final flush also writes the metadata.
            let flush = move || warn_if_refused(file.sync_data());
            thread::Builder::new().name("flush".to_owned()).spawn(flush)
        });
        self.running = started.ok();
        Ok(())
    }

    /// Waits for the running flush, if there is one.
    ///
    /// # Errors
    /// The error of the flush. The operating system reports it only once: the final flush may succeed although bytes
    /// are lost.
    pub(crate) fn wait(&mut self) -> io::Result<()> {
        self.running.take().map_or(Ok(()), |running| {
            running.join().unwrap_or_else(|_| Err(io::Error::other("the thread that flushes panicked")))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn flushes_only_after_a_full_interval() {
        let mut file = tempfile::tempfile().unwrap();
        let mut background_flush = BackgroundFlush::default();
        let bytes = vec![7; usize::try_from(FLUSH_INTERVAL).unwrap() - 1];
        for (count, is_started) in [(bytes.len(), false), (1, true)] {
            file.write_all(&bytes[..count]).unwrap();
            background_flush.record_write(&file, count).unwrap();
            assert_eq!(background_flush.running.is_some(), is_started);
        }
        background_flush.wait().unwrap();
        assert_eq!((background_flush.unflushed, background_flush.running.is_some()), (0, false));
    }

    #[test]
    #[cfg(unix)]
    fn ignores_file_system_that_cannot_flush() {
        // A pipe cannot be flushed.
        let (_reader, writer) = io::pipe().unwrap();
        let file = File::from(std::os::fd::OwnedFd::from(writer));
        let mut background_flush = BackgroundFlush::default();
        background_flush.record_write(&file, usize::try_from(FLUSH_INTERVAL).unwrap()).unwrap();
        background_flush.wait().unwrap();
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn reports_failed_flush() {
        // An O_PATH handle cannot be flushed, and the error is not one of `is_refused`.
        let handle = rustix::fs::open("/", rustix::fs::OFlags::PATH, rustix::fs::Mode::empty()).unwrap();
        let file = File::from(handle);
        let mut background_flush = BackgroundFlush::default();
        let interval = usize::try_from(FLUSH_INTERVAL).unwrap();
        background_flush.record_write(&file, interval).unwrap();
        background_flush.wait().unwrap_err();
        // Without `wait`, a later write reports the error.
        background_flush.record_write(&file, interval).unwrap();
        let is_reported = (0..10_000).any(|_| {
            thread::sleep(std::time::Duration::from_millis(1));
            background_flush.record_write(&file, interval).is_err()
        });
        assert!(is_reported);
    }
}
