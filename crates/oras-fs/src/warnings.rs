//! Warnings about limits of a file system. Each is logged once in a process, because it concerns every file.

use std::sync::Once;

/// The `tracing` target of the warnings of file stores that a user must see, also without a debug log.
pub const WARNINGS: &str = "oras_fs::warnings";

/// Logs that the file system does not store file modes.
pub fn warn_of_lost_modes() {
    static LOGGED: Once = Once::new();
    let text = "the file system keeps no file modes: files do not have the permissions that were asked for";
    LOGGED.call_once(|| tracing::warn!(target: WARNINGS, "{text}"));
}

/// Logs that the file system has no locks.
pub(crate) fn warn_of_missing_locks() {
    static LOGGED: Once = Once::new();
    let text = "the file system has no locks: let only one program at a time write there";
    LOGGED.call_once(|| tracing::warn!(target: WARNINGS, "{text}"));
}

/// Logs that the file system cannot flush files.
pub(crate) fn warn_of_missing_flush() {
    static LOGGED: Once = Once::new();
    let text = "the file system cannot flush files: a power cut may lose what was written last";
    LOGGED.call_once(|| tracing::warn!(target: WARNINGS, "{text}"));
}
