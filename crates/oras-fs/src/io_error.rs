//! Distinguishes unsupported file-system operations from failed ones.

use std::io;

/// Returns true if the file system does not support the operation, such as a hard link on exFAT.
///
/// A false result means that the file system supports the operation and that it failed.
pub fn is_refused(error: &io::Error) -> bool {
    // File systems report a missing operation with different codes: creating a hard link on FAT fails with `EPERM`, and
    // flushing a pipe fails with `EINVAL`.
    use io::ErrorKind::{CrossesDevices, InvalidInput, PermissionDenied, TooManyLinks, Unsupported};
    matches!(error.kind(), CrossesDevices | InvalidInput | PermissionDenied | TooManyLinks | Unsupported)
}
