//! A directory as a gzipped tar: walked in byte order, with nothing in it that differs between machines but modes
//! and modification times.

mod gzip;
mod header;

use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use oras_spec::{Algorithm, Digest, Hasher};
use oras_store::{Error, Kind, Result};
use tempfile::TempPath;
use walkdir::WalkDir;

use self::gzip::ParallelGzip;
use self::header::{Entry, EntryKind};
use crate::title::title_of;

/// Bytes in one read of a file.
const CHUNK: usize = 64 * 1024;

/// A packed directory.
pub(crate) struct Packed {
    pub(crate) path: TempPath,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    pub(crate) content_digest: Digest,
}

/// Packs `directory` under the name `title` into a temporary file: one pass, memory bounded whatever the size.
/// Ends early, with an error nobody sees, when `cancelled` is set.
pub(crate) fn pack(directory: &Path, title: &str, cancelled: &AtomicBool) -> Result<Packed> {
    let failed = |error| Error::io(format!("failed to pack {}", directory.display()), error);
    let (file, path) = tempfile::NamedTempFile::new().map_err(failed)?.into_parts();
    let compressed = Tee::new(BufWriter::with_capacity(1 << 20, file));
    let mut packer = Packer {
        out: Tee::new(ParallelGzip::new(compressed)),
        title: title_of(title).into_bytes(),
        buffer: vec![0; CHUNK],
        cancelled,
    };
    packer
        .tree(directory)
        .map_err(|error| error.context(format!("failed to pack {}", directory.display())))?;
    let (gzip, content_digest, _) = packer.out.finish();
    let (mut out, digest, size) = gzip.finish().map_err(failed)?.finish();
    out.flush().map_err(failed)?;
    Ok(Packed { path, digest, size, content_digest })
}

struct Packer<'a, W> {
    out: W,
    /// Clean: all names begin with it.
    title: Vec<u8>,
    buffer: Vec<u8>,
    cancelled: &'a AtomicBool,
}

impl<W: Write> Packer<'_, W> {
    fn tree(&mut self, directory: &Path) -> Result<()> {
        // The directory itself may be a link that was named on purpose; links inside are kept as links.
        let root = directory.canonicalize().map_err(|error| at(directory, error))?;
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
            self.entry(path, join(&self.title, relative.as_os_str()), &metadata)?;
        }
        self.write(&[0; 1024])
    }

    fn entry(&mut self, path: &Path, name: Vec<u8>, metadata: &Metadata) -> Result<()> {
        if !metadata.is_file() {
            let kind = special(path, metadata)?;
            return self.write(&Entry::new(name, kind, metadata).to_bytes());
        }
        let file = File::open(path).map_err(|error| at(path, error))?;
        let size = metadata.len();
        self.write(&Entry::new(name, EntryKind::File(size), metadata).to_bytes())?;
        self.copy(path, file, size)?;
        let padding = usize::try_from(size.next_multiple_of(512) - size).unwrap_or_default();
        self.write(&[0; 512][..padding])
    }

    fn copy(&mut self, path: &Path, mut file: File, size: u64) -> Result<()> {
        let changed = || {
            Error::new(Kind::InvalidContent, format!("{} changed while it was being packed", path.display()))
        };
        let mut copied = 0;
        loop {
            let mut buffer = std::mem::take(&mut self.buffer);
            let count = read(&mut file, &mut buffer).map_err(|error| at(path, error));
            let written = count.and_then(|count| {
                copied += count as u64;
                if copied > size { Err(changed()) } else { self.write(&buffer[..count]).map(|()| count) }
            });
            self.buffer = buffer;
            if written? == 0 {
                return if copied == size { Ok(()) } else { Err(changed()) };
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(Error::new(Kind::Other, "cancelled"));
        }
        self.out.write_all(bytes).map_err(|error| Error::io("failed to write a temporary file", error))
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

/// The name of the entry at `relative`, with forward slashes and none at its end.
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

/// What an entry that is no file is. Like the Go tool, pipes and devices are kept and sockets refused.
fn special(path: &Path, metadata: &Metadata) -> Result<EntryKind> {
    if metadata.is_dir() {
        return Ok(EntryKind::Directory);
    }
    if metadata.is_symlink() {
        let target = fs::read_link(path).map_err(|error| at(path, error))?;
        return Ok(EntryKind::Symlink(target.as_os_str().as_encoded_bytes().to_vec()));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::{FileTypeExt, MetadataExt};
        let (kind, number) = (metadata.file_type(), metadata.rdev());
        if kind.is_fifo() {
            return Ok(EntryKind::Fifo);
        }
        if kind.is_char_device() || kind.is_block_device() {
            let flag = if kind.is_char_device() { b'3' } else { b'4' };
            return Ok(EntryKind::Device { flag, number });
        }
    }
    Err(Error::new(Kind::Unsupported, format!("{}: sockets cannot be packed", path.display())))
}

/// Hashes and counts what is written through it.
struct Tee<W> {
    inner: W,
    hasher: Hasher,
    written: u64,
}

impl<W> Tee<W> {
    fn new(inner: W) -> Self {
        Self { inner, hasher: Hasher::new(Algorithm::Sha256), written: 0 }
    }

    fn finish(self) -> (W, Digest, u64) {
        (self.inner, self.hasher.finish(), self.written)
    }
}

impl<W: Write> Write for Tee<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        self.written += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_joined_clean() {
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
