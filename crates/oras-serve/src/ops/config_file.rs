//! Reading the text files of a server (htpasswd and rules), and the error for options and files that it can't use.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The maximum size of a file in bytes, which bounds the memory for a wrong path.
const MAX_SIZE: u64 = 1024 * 1024;

/// Reads a text file.
pub(crate) fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    // One byte more distinguishes a file above the limit from a file of exactly that size.
    let read = file.take(MAX_SIZE + 1).read_to_string(&mut text);
    let size = read.map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => unusable(path, "it is not UTF-8 text"),
        _ => unreadable(path, &error),
    })?;
    if size as u64 > MAX_SIZE { Err(unusable(path, "too large")) } else { Ok(text) }
}

/// Removes the byte order mark that some editors write.
pub(crate) fn without_bom(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// A file, or a value of [`ServerOptions`](crate::ServerOptions), that the server can't use. It is the inner error of the
/// [`io::Error`] that [`Server::bind`](crate::Server::bind) and [`Registry::new`](crate::Registry::new) return, and
/// distinguishes it from an error of the address.
///
/// ```
/// use std::sync::Arc;
///
/// use oras_memory::Memory;
/// use oras_serve::{Misconfigured, PerRepository, Server, ServerOptions, Tls};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let stores = PerRepository::new(|_| async { Ok(Arc::new(Memory::new()) as _) });
/// let options = ServerOptions::default().tls(Tls::new("/missing/cert.pem", "/missing/key.pem"));
/// let Err(error) = Server::bind("127.0.0.1:0", options, Arc::new(stores)).await else { return };
/// let fault = error.get_ref().and_then(|inner| inner.downcast_ref::<Misconfigured>());
/// assert!(fault.is_some(), "{error}");
/// # }
/// ```
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
