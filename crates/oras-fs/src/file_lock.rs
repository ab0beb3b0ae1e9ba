//! Locks on files, where the file system has them.

use std::fs::{File, TryLockError};
use std::io;

use super::notices::notice_missing_locks;

/// Waits for the lock on `file`. A file system without locks adds a notice, and nothing is locked.
///
/// # Errors
/// Those of locking, where there are locks.
pub fn lock(file: &File) -> io::Result<()> {
    file.lock().or_else(unless_missing)
}

/// Locks `file` without waiting; returns false if another process has the lock. A file system without locks adds a notice,
/// and nothing is locked.
///
/// # Errors
/// Those of locking, where there are locks.
pub fn try_lock(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => unless_missing(error).map(|()| true),
    }
}

fn unless_missing(error: io::Error) -> io::Result<()> {
    if !is_missing(&error) {
        return Err(error);
    }
    notice_missing_locks();
    Ok(())
}

/// Returns true if the error says that there are no locks: NFS without a lock daemon, and some FUSE file systems.
fn is_missing(error: &io::Error) -> bool {
    #[cfg(unix)]
    if error.raw_os_error() == Some(rustix::io::Errno::NOLCK.raw_os_error()) {
        return true;
    }
    super::is_refused(error)
}
