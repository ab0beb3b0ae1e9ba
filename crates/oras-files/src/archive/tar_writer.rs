//! Writes the tar of a directory. Entries are in byte order. Only modes and modification times can differ between
//! machines.

use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use oras_store::{Error, ErrorKind, Result};
use walkdir::WalkDir;

use super::tar_header::{TarEntryKind, TarHeader};

/// Bytes in one read of a file.
const CHUNK: usize = 64 * 1024;

/// Writes the tar of `directory` to `out`. All names begin with `title`, which is a cleaned path. No time is after
/// `latest`.
pub(super) fn write_tar(
    directory: &Path,
    title: &str,
    latest: Option<i64>,
    cancelled: &AtomicBool,
    out: impl Write,
) -> Result<()> {
    let title = title.as_bytes().to_vec();
    TarWriter { out, title, latest, buffer: vec![0; CHUNK], cancelled }.write_directory(directory)
}

/// Visits `directory` and everything below it in byte order, with the full path, the relative path and the metadata.
fn walk(directory: &Path, mut visit: impl FnMut(&Path, &OsStr, &Metadata) -> Result<()>) -> Result<()> {
    // The directory itself may be a link, which is followed because the user named it. Links inside are packed as
    // links.
    let root = directory.canonicalize().map_err(|error| at(directory, error))?;
    // Sorted by bytes rather than by locale, so that every machine gives the same archive.
    let walk = WalkDir::new(&root)
        .sort_by(|a, b| a.file_name().as_encoded_bytes().cmp(b.file_name().as_encoded_bytes()));
    for found in walk {
        let found = found.map_err(|error| {
            let path = error.path().unwrap_or(&root).to_owned();
            at(&path, error.into())
        })?;
        let path = found.path();
        let relative = path.strip_prefix(&root).map_err(|error| at(path, io::Error::other(error)))?;
        let metadata = fs::symlink_metadata(path).map_err(|error| at(path, error))?;
        visit(path, relative.as_os_str(), &metadata)?;
    }
    Ok(())
}

fn check_cancelled(cancelled: &AtomicBool) -> Result<()> {
    if cancelled.load(Ordering::Relaxed) { Err(Error::new(ErrorKind::Other, "cancelled")) } else { Ok(()) }
}

struct TarWriter<'a, W> {
    out: W,
    /// The first part of all names, cleaned.
    title: Vec<u8>,
    latest: Option<i64>,
    buffer: Vec<u8>,
    cancelled: &'a AtomicBool,
}

impl<W: Write> TarWriter<'_, W> {
    fn write_directory(&mut self, directory: &Path) -> Result<()> {
        walk(directory, |path, relative, metadata| {
            self.write_entry(path, join(&self.title, relative), metadata)
        })?;
        // Two empty blocks end an archive.
        self.write(&[0; 1024])
    }

    fn header(&self, name: Vec<u8>, kind: TarEntryKind, metadata: &Metadata) -> Vec<u8> {
        TarHeader::new(name, kind, metadata).no_later_than(self.latest).to_bytes()
    }

    fn write_entry(&mut self, path: &Path, name: Vec<u8>, metadata: &Metadata) -> Result<()> {
        if !metadata.is_file() {
            let kind = special_kind(path, metadata)?;
            return self.write(&self.header(name, kind, metadata));
        }
        let file = File::open(path).map_err(|error| at(path, error))?;
        let size = metadata.len();
        self.write(&self.header(name, TarEntryKind::File(size), metadata))?;
        self.copy(path, file, size)?;
        // The content of an entry is padded to a full block.
        let padding = usize::try_from(size.next_multiple_of(512) - size).unwrap_or_default();
        self.write(&[0; 512][..padding])
    }

    fn copy(&mut self, path: &Path, mut file: File, size: u64) -> Result<()> {
        // The buffer is taken out, because `write` borrows all of `self`.
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut copied = 0;
        let result = loop {
            let count = match read(&mut file, &mut buffer) {
                Ok(count) => count,
                Err(error) => break Err(at(path, error)),
            };
            copied += count as u64;
            // The size is already in the header, so the content must have exactly that size.
            if copied > size || (count == 0 && copied < size) {
                let message = format!("{} changed while it was being packed", path.display());
                break Err(Error::new(ErrorKind::InvalidContent, message));
            }
            if let Err(error) = self.write(&buffer[..count]) {
                break Err(error);
            }
            // A short read is the end of the file. Another read to confirm it would cost as much as reading a small
            // file.
            if copied == size && count < buffer.len() {
                break Ok(());
            }
        };
        self.buffer = buffer;
        result
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        check_cancelled(self.cancelled)?;
        self.out.write_all(bytes).map_err(|error| Error::io("failed to hand on a block", error))
    }
}

fn read(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match file.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

fn at(path: &Path, error: io::Error) -> Error {
    Error::io(path.display().to_string(), error)
}

/// Returns the name of the entry at `relative`, with forward slashes and no trailing slash.
fn join(title: &[u8], relative: &OsStr) -> Vec<u8> {
    let relative = relative.as_encoded_bytes();
    let mut name = match title {
        b"." if !relative.is_empty() => Vec::new(),
        _ => title.to_vec(),
    };
    if !relative.is_empty() && !name.is_empty() && !name.ends_with(b"/") {
        name.push(b'/');
    }
    name.extend(slashed(relative));
    name
}

fn slashed(path: &[u8]) -> impl Iterator<Item = u8> + '_ {
    path.iter().map(|byte| if cfg!(windows) && *byte == b'\\' { b'/' } else { *byte })
}

/// Returns the type of an entry that is not a file. Like the Go tool, pipes and devices are packed and sockets are
/// refused.
fn special_kind(path: &Path, metadata: &Metadata) -> Result<TarEntryKind> {
    if metadata.is_dir() {
        return Ok(TarEntryKind::Directory);
    }
    if metadata.is_symlink() {
        let target = fs::read_link(path).map_err(|error| at(path, error))?;
        return Ok(TarEntryKind::Symlink(target.as_os_str().as_encoded_bytes().to_vec()));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::{FileTypeExt, MetadataExt};
        let (kind, number) = (metadata.file_type(), metadata.rdev());
        if kind.is_fifo() {
            return Ok(TarEntryKind::Fifo);
        }
        if kind.is_char_device() || kind.is_block_device() {
            let flag = if kind.is_char_device() { b'3' } else { b'4' };
            return Ok(TarEntryKind::Device { flag, number });
        }
    }
    Err(Error::new(ErrorKind::Unsupported, format!("{}: sockets cannot be packed", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_names() {
        for (title, relative, name) in [
            ("d", "", "d"),
            ("d", "a/b", "d/a/b"),
            (".", "", "."),
            (".", "a", "a"),
            ("..", "a", "../a"),
            ("/", "a", "/a"),
            ("/x", "", "/x"),
        ] {
            assert_eq!(join(title.as_bytes(), OsStr::new(relative)), name.as_bytes(), "{title} {relative}");
        }
    }
}
