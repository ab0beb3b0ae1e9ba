//! BackgroundFlush a large file while it is written.

use std::fs::File;
use std::io;
use std::thread::{self, JoinHandle};

/// So many bytes are written before they are flushed: a flush costs a commit of the file system, too.
const STEP: u64 = 32 << 20;

/// Has what was written flushed to the disk while more is: little is left to flush in the end, and the disk isn't idle
/// until then. At most one thread at a time, and none for a file of less than [`STEP`].
#[derive(Debug, Default)]
pub(super) struct BackgroundFlush {
    unflushed: u64,
    running: Option<JoinHandle<io::Result<()>>>,
}

impl BackgroundFlush {
    /// So many bytes more were written to `file`.
    ///
    /// # Errors
    /// That of a flush.
    pub(super) fn wrote(&mut self, file: &File, count: usize) -> io::Result<()> {
        self.unflushed += count as u64;
        if self.unflushed < STEP || self.running.as_ref().is_some_and(|running| !running.is_finished()) {
            return Ok(());
        }
        self.settle()?;
        self.unflushed = 0;
        // Without another handle or thread it is all flushed in the end.
        let begun = file
            .try_clone()
            .and_then(|file| thread::Builder::new().name("flush".to_owned()).spawn(move || flush(&file)));
        self.running = begun.ok();
        Ok(())
    }

    /// Waits for the flush that runs, if any. A system tells of a failed flush once: who doesn't ask here does not hear
    /// of it.
    ///
    /// # Errors
    /// That of the flush.
    pub(super) fn settle(&mut self) -> io::Result<()> {
        self.running.take().map_or(Ok(()), |running| {
            running.join().unwrap_or_else(|_| Err(io::Error::other("the thread that flushes panicked")))
        })
    }
}

/// A file system that cannot flush is reported when the whole file is.
fn flush(file: &File) -> io::Result<()> {
    match file.sync_data() {
        Err(error) if super::is_refused(&error) => Ok(()),
        flushed => flushed,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_large_file_is_flushed_in_steps_and_a_small_one_not_at_all() {
        let mut file = tempfile::tempfile().unwrap();
        let mut background_flush = BackgroundFlush::default();
        let bytes = vec![7; usize::try_from(STEP).unwrap() - 1];
        for (count, begun) in [(bytes.len(), false), (1, true)] {
            file.write_all(&bytes[..count]).unwrap();
            background_flush.wrote(&file, count).unwrap();
            assert_eq!(background_flush.running.is_some(), begun);
        }
        background_flush.settle().unwrap();
        assert_eq!((background_flush.unflushed, background_flush.running.is_some()), (0, false));
    }

    #[test]
    #[cfg(unix)]
    fn a_file_system_that_cannot_flush_is_no_failure() {
        // No pipe can be flushed.
        let (_reader, writer) = io::pipe().unwrap();
        let file = File::from(std::os::fd::OwnedFd::from(writer));
        let mut background_flush = BackgroundFlush::default();
        background_flush.wrote(&file, usize::try_from(STEP).unwrap()).unwrap();
        background_flush.settle().unwrap();
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_flush_that_fails_is_told() {
        // A handle that is good for paths only can't be flushed, and that is no refusal of the file system.
        let handle = rustix::fs::open("/", rustix::fs::OFlags::PATH, rustix::fs::Mode::empty()).unwrap();
        let file = File::from(handle);
        let mut background_flush = BackgroundFlush::default();
        let step = usize::try_from(STEP).unwrap();
        background_flush.wrote(&file, step).unwrap();
        background_flush.settle().unwrap_err();
        // So is one that nobody has asked about.
        background_flush.wrote(&file, step).unwrap();
        let told = (0..10_000).any(|_| {
            thread::sleep(std::time::Duration::from_millis(1));
            background_flush.wrote(&file, step).is_err()
        });
        assert!(told);
    }
}
