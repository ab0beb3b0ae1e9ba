//! The error for options and files that a server can't use.

use std::fmt;
use std::io;
use std::path::Path;

/// A file, or a value of [`ServerOptions`](crate::ServerOptions), that the server can't use. It is the inner error of the
/// [`io::Error`] that [`Server::bind`](crate::Server::bind) returns, and distinguishes it from an error of the address.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Misconfigured(pub(crate) String);

impl From<Misconfigured> for io::Error {
    fn from(error: Misconfigured) -> Self {
        Self::new(io::ErrorKind::InvalidInput, error)
    }
}

/// Returns the error for a file whose content can't be used.
pub(crate) fn unusable(path: &Path, error: impl fmt::Display) -> io::Error {
    let text = error.to_string();
    // Drops the number of a system error, which does not help people.
    let message = text.split(" (os error").next().unwrap_or_default();
    Misconfigured(format!("{}: {message}", path.display())).into()
}

/// Returns the error for a file that can't be read. It keeps the kind of the system error.
pub(crate) fn unreadable(path: &Path, error: &io::Error) -> io::Error {
    let message = unusable(path, error).to_string();
    // `ReloadedFiles` reads the file again after a system error, but not after `InvalidInput`.
    io::Error::new(error.kind(), Misconfigured(message))
}
