//! File input and output for stores: large reads off the async threads, and staged, verified, atomic writes.
//!
//! `tokio::fs` moves 4 KiB to 64 KiB pieces and runs at a tenth of the disk; here a blocking thread reads or
//! writes pieces of [`CHUNK`] bytes, and hashes what it writes, so that the hash overlaps with the network.

mod background_flush;
mod blocking_queue;
mod file_lock;
mod file_stamp;
mod idle_partial_files;
mod idle_send;
mod notices;
pub mod output_file;
mod partial_file;
mod private_dir;
mod read;
mod read_through;
mod regular_file;
mod staged_file;
mod write_verified;

use std::fs::{self, File};
use std::path::Path;

pub use blocking_queue::BlockingQueue;
pub use file_lock::{lock, try_lock};
pub use file_stamp::FileStamp;
pub use idle_partial_files::{IdlePartialFile, find_idle_partial_files};
pub use notices::{notice, notice_lost_modes, take_notices};
pub use partial_file::{CompletedFile, PartialFile, sweep_partial_files};
pub use read::{read, read_at, read_to_end, read_whole};
pub use read_through::read_through;
pub use regular_file::{open_regular, open_regular_or_link, read_limited, read_regular_at};
pub use staged_file::{Durability, ParkedFile, StagedFile, is_refused};
pub use write_verified::{ResumedWrite, stage, write_verified};

use oras_store::{Error, Result};

/// Bytes in one piece of a read: several pieces in flight must fit into the cache next to a core. Measured on a core
/// with 1 MiB of it, 128 KiB read a file in memory at 5 GB/s and 256 KiB at 1.7.
pub const CHUNK: usize = 64 * 1024;
/// Pieces between the reader and the writer of a transfer: bounds the memory of one stream to a few MiB.
const QUEUE: usize = 8;

/// Runs `work` on a thread that may block, and hands back its result.
///
/// Dropping the future does not stop `work`: it must end by itself when whoever feeds or reads it is gone.
pub async fn blocking<T, F>(work: F) -> Result<T>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => {
            match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(error) => Err(Error::new(oras_store::ErrorKind::Other, "the runtime is shutting down")
                    .with_source(error)),
            }
        }
    }
}

/// Replaces `path` by a file of `bytes` in one step, flushed to the disk: a reader sees the old file or the new.
/// The permissions are `mode` less the umask; of a file for its owner alone they are `mode`, whatever the umask.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut staged = StagedFile::create_with_mode(directory, mode)?;
    #[cfg(unix)]
    if mode & 0o077 == 0 {
        fs::set_permissions(staged.path(), std::os::unix::fs::PermissionsExt::from_mode(mode))
            .map_err(|error| Error::io(format!("failed to write {}", path.display()), error))?;
    }
    staged.write_whole(bytes)?;
    staged.sync()?;
    staged.publish(path)?;
    sync_directory(directory)
}

/// Flushes the names in `directory` to the disk, where the system can.
pub fn sync_directory(directory: &Path) -> Result<()> {
    if cfg!(unix) {
        let failed = |error| Error::io(format!("failed to flush {}", directory.display()), error);
        match File::open(directory).map_err(failed)?.sync_all() {
            // CIFS and some FUSE file systems cannot flush directories.
            Err(error) if staged_file::is_refused(&error) => {}
            flushed => flushed.map_err(failed)?,
        }
    }
    Ok(())
}

/// Makes `directory` and its parents.
pub fn create_directories(directory: &Path) -> Result<()> {
    // Mostly it is there, and to be told so is cheaper than to try. If the system can't tell, the attempt tells why.
    if fs::metadata(directory).is_ok_and(|found| found.is_dir()) {
        return Ok(());
    }
    fs::create_dir_all(directory)
        .map_err(|error| Error::io(format!("failed to create the directory {}", directory.display()), error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replace_is_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("index.json");
        replace(&path, b"one", 0o666).unwrap();
        replace(&path, b"two", 0o666).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
    }
}
