//! Reading the text files of a server: htpasswd and rules.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::misconfigured::{unreadable, unusable};

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
