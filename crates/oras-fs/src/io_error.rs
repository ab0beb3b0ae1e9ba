//! Errors of the file system: which of them mean that an operation is unsupported or a file is missing, and what failed.

use std::io;
use std::path::Path;

use oras_store::Error;

/// Returns true if the file system does not support the operation, such as a hard link on exFAT.
///
/// A false result means that the file system supports the operation and that it failed.
pub fn is_refused(error: &io::Error) -> bool {
    // File systems report a missing operation with different codes: creating a hard link on FAT fails with `EPERM`, and
    // flushing a pipe fails with `EINVAL`.
    use io::ErrorKind::{CrossesDevices, InvalidInput, PermissionDenied, TooManyLinks, Unsupported};
    matches!(error.kind(), CrossesDevices | InvalidInput | PermissionDenied | TooManyLinks | Unsupported)
}

/// Returns `None` instead of the error that a file does not exist.
///
/// # Errors
/// Any other error of `result`.
pub fn if_exists<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns a function that makes an error of an I/O error: `failed to`, then `action`, such as `open`, and the path.
pub fn failed_to<P: AsRef<Path> + Copy>(action: &str, path: P) -> impl Fn(io::Error) -> Error + Copy {
    move |error| Error::io(format!("failed to {action} {}", path.as_ref().display()), error)
}
