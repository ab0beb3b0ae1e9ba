//! Writes the tar of a directory. Entries are in byte order. Only modes and modification times can differ between
//! machines.

use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io::{self, Read, Write};
use std::path::Path;

use oras_store::{Error, ErrorKind, Result};
use tar::EntryType;
use tokio_util::sync::CancellationToken;
use walkdir::WalkDir;

use super::tar_header::TarHeader;
use crate::cancel::check_cancelled;

/// Bytes in one read of a file.
const CHUNK: usize = 64 * 1024;

/// Writes the tar of `directory` to `out`. All names begin with `title`, which is a cleaned path. No time is after
/// `latest`.
pub(super) fn write_tar(
    directory: &Path,
    title: &str,
    latest: Option<i64>,
    cancel: &CancellationToken,
    out: impl Write,
) -> Result<()> {
    let title = title.as_bytes().to_vec();
    TarWriter { out, title, latest, buffer: vec![0; CHUNK], cancel }.write_directory(directory)
}

struct TarWriter<'a, W> {
    out: W,
    /// The first part of all names, cleaned.
    title: Vec<u8>,
    latest: Option<i64>,
    buffer: Vec<u8>,
    cancel: &'a CancellationToken,
}

impl<W: Write> TarWriter<'_, W> {
    fn write_directory(&mut self, directory: &Path) -> Result<()> {
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
            self.write_entry(path, join(&self.title, relative.as_os_str()), &metadata)?;
        }
        // Two empty blocks end an archive.
        self.write(&[0; 1024])
    }

    fn write_entry(&mut self, path: &Path, name: Vec<u8>, metadata: &Metadata) -> Result<()> {
        let mut header = TarHeader::new(name, metadata, self.latest);
        header.flag = entry_type(path, metadata)?.as_byte();
        if metadata.is_symlink() {
            let target = fs::read_link(path).map_err(|error| at(path, error))?;
            header.link = target.into_os_string().into_encoded_bytes();
        }
        #[cfg(unix)]
        if matches!(header.flag, b'3' | b'4') {
            header.device = std::os::unix::fs::MetadataExt::rdev(metadata);
        }
        if !metadata.is_file() {
            return self.write(&header.to_bytes());
        }
        let file = File::open(path).map_err(|error| at(path, error))?;
        let size = metadata.len();
        header.size = size;
        self.write(&header.to_bytes())?;
        self.copy(path, file, size)?;
        // The content of an entry is padded to a full block.
        let padding = usize::try_from(size.next_multiple_of(512) - size).unwrap_or_default();
        self.write(&[0; 512][..padding])
    }

    fn copy(&mut self, path: &Path, mut file: File, size: u64) -> Result<()> {
        let Self { out, buffer, cancel, .. } = self;
        let mut copied = 0;
        loop {
            let count = read(&mut file, buffer).map_err(|error| at(path, error))?;
            copied += count as u64;
            // The size is already in the header, so the content must have exactly that size.
            if copied > size || (count == 0 && copied < size) {
                let message = format!("{} changed while it was being packed", path.display());
                return Err(Error::new(ErrorKind::InvalidContent, message));
            }
            write(out, &buffer[..count], cancel)?;
            // A short read is the end of the file. Another read to confirm it would cost as much as reading a small
            // file.
            if copied == size && count < buffer.len() {
                return Ok(());
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        write(&mut self.out, bytes, self.cancel)
    }
}

fn write(out: &mut impl Write, bytes: &[u8], cancel: &CancellationToken) -> Result<()> {
    check_cancelled(cancel)?;
    out.write_all(bytes).map_err(|error| Error::io("failed to hand on a block", error))
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

/// Returns the type of an entry. Like the Go tool, pipes and devices are packed and sockets are refused.
fn entry_type(path: &Path, metadata: &Metadata) -> Result<EntryType> {
    #[cfg(unix)]
    use std::os::unix::fs::FileTypeExt;
    let kind = metadata.file_type();
    let types = [
        (kind.is_file(), EntryType::Regular),
        (kind.is_dir(), EntryType::Directory),
        (kind.is_symlink(), EntryType::Symlink),
        #[cfg(unix)]
        (kind.is_fifo(), EntryType::Fifo),
        #[cfg(unix)]
        (kind.is_char_device(), EntryType::Char),
        #[cfg(unix)]
        (kind.is_block_device(), EntryType::Block),
    ];
    let found = types.into_iter().find(|(is_type, _)| *is_type).map(|(_, entry_type)| entry_type);
    let refused = || format!("{}: sockets cannot be packed", path.display());
    found.ok_or_else(|| Error::new(ErrorKind::Unsupported, refused()))
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
