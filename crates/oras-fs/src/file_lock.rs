//! Locks on files, on file systems that support them.

use std::fs::{File, TryLockError};
use std::io;

use crate::io_error::is_refused;
use crate::warnings::warn_of_missing_locks;

/// Waits for the lock on `file`, and returns true. On a file system without locks, logs a warning and returns false
/// without a lock.
///
/// # Errors
/// Errors of locking, except the one that reports a file system without locks.
pub fn lock(file: &File) -> io::Result<bool> {
    file.lock().map(|()| true).or_else(|error| ignore_missing_locks(error).map(|()| false))
}

/// Locks `file` without waiting, and returns false if another process has the lock. On a file system without locks,
/// logs a warning and returns true without a lock.
///
/// # Errors
/// Errors of locking, except the one that reports a file system without locks.
pub fn try_lock(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => ignore_missing_locks(error).map(|()| true),
    }
}

/// Ignores the error of a file system without locks, such as NFS without a lock daemon and some FUSE file systems.
fn ignore_missing_locks(error: io::Error) -> io::Result<()> {
    #[cfg(unix)]
    let has_no_daemon = error.raw_os_error() == Some(rustix::io::Errno::NOLCK.raw_os_error());
    #[cfg(not(unix))]
    let has_no_daemon = false;
    if !has_no_daemon && !is_refused(&error) {
        return Err(error);
    }
    // An error would make the store unusable on such a file system, so the caller continues without a lock.
    warn_of_missing_locks();
    Ok(())
}
