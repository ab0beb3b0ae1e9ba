//! Measures the disk space that a running tool uses in addition to its result.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// The interval between measurements.
const PAUSE: Duration = Duration::from_millis(20);

/// Runs `work` and returns the peak size of the directories above their final size.
pub(super) fn watch<T>(dirs: &[PathBuf], work: impl FnOnce() -> T) -> (T, u64) {
    let (done, is_done) = channel::<()>();
    std::thread::scope(|scope| {
        let watching = scope.spawn(move || {
            let mut most = 0;
            while matches!(is_done.recv_timeout(PAUSE), Err(RecvTimeoutError::Timeout)) {
                most = most.max(dirs.iter().map(|dir| bytes_below(dir)).sum());
            }
            most
        });
        let result = work();
        // Closing the channel ends the measurements at once, without the rest of the interval.
        drop(done);
        let most: u64 = watching.join().unwrap_or_default();
        (result, most.saturating_sub(dirs.iter().map(|dir| bytes_below(dir)).sum()))
    })
}

/// Returns the size of a directory. Files that are deleted during the call do not count.
fn bytes_below(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes_below(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    });
    sizes.sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use xtask::files::{ScratchDir, write};

    #[test]
    fn measures_files_deleted_before_exit() {
        let scratch = ScratchDir::new(&std::env::temp_dir(), "xtask-temporary").unwrap();
        let dirs = [scratch.path().to_path_buf()];
        let (result, most) = watch(&dirs, || {
            write(&scratch.path().join("a/result"), "12345").unwrap();
            write(&scratch.path().join("part"), "1234567").unwrap();
            // Long enough for a measurement, even on a busy machine.
            std::thread::sleep(20 * PAUSE);
            std::fs::remove_file(scratch.path().join("part")).unwrap();
            3
        });
        assert_eq!((result, most), (3, 7));
    }
}
