//! Opens and reads regular files that another program may have replaced by something else.
//!
//! A pipe, a device or a directory is an error. Opening never blocks, not even on a pipe without a writer.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use bytes::Bytes;

/// Opens a regular file for reading, and returns its length. A symbolic link is not followed.
///
/// # Errors
/// The errors of opening, and [`io::ErrorKind::InvalidInput`] if it is not a regular file.
pub fn open_regular(path: &Path) -> io::Result<(File, u64)> {
    regular(system::open(None, path, Links::Refuse)?)
}

/// Opens a regular file for reading, and returns its length. A symbolic link is followed.
///
/// # Errors
/// The errors of [`open_regular`].
pub fn open_regular_or_link(path: &Path) -> io::Result<(File, u64)> {
    regular(system::open(None, path, Links::Follow)?)
}

fn regular(file: File) -> io::Result<(File, u64)> {
    let metadata = file.metadata()?;
    if metadata.is_file() {
        return Ok((file, metadata.len()));
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
}

/// Returns all bytes of a regular file. A symbolic link is followed.
///
/// # Errors
/// The errors of [`open_regular_or_link`] and of reading, and [`io::ErrorKind::FileTooLarge`] if the file has more than
/// `limit` bytes.
pub fn read_limited(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let (file, _) = open_regular_or_link(path)?;
    let mut bytes = Vec::new();
    // One byte more than the limit shows that the file is too large. The length is not trusted, as the file may grow.
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {limit} bytes")));
    }
    Ok(bytes)
}

/// Returns all bytes of the regular file `name` in `directory`, which must have `size` bytes. A symbolic link is not
/// followed.
///
/// # Errors
/// The errors of opening and of reading, and [`io::ErrorKind::InvalidData`] if it does not have `size` bytes.
pub fn read_regular_at(directory: &File, name: &str, size: u64) -> io::Result<Bytes> {
    let file = system::open(Some(directory), Path::new(name), Links::Refuse)?;
    // `read_whole` checks the length without a system call for the metadata. It fails or finds another length for a
    // pipe, a device or a directory.
    crate::read::read_whole(&file, size)?.ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Whether opening follows a symbolic link.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Links {
    Refuse,
    Follow,
}

#[cfg(unix)]
mod system {
    use std::fs::File;
    use std::io;
    use std::path::Path;

    use rustix::fs::{CWD, Mode, OFlags, openat};

    use super::Links;

    pub(super) fn open(directory: Option<&File>, path: &Path, links: Links) -> io::Result<File> {
        // NONBLOCK: opening a pipe does not wait for its writer. NOCTTY: a terminal does not become the controlling
        // one.
        let mut flags = OFlags::RDONLY | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        flags.set(OFlags::NOFOLLOW, links == Links::Refuse);
        let opened = match directory {
            Some(directory) => openat(directory, path, flags, Mode::empty()),
            None => openat(CWD, path, flags, Mode::empty()),
        };
        Ok(File::from(opened?))
    }
}

#[cfg(not(unix))]
mod system {
    use std::fs::File;
    use std::io;
    use std::path::Path;

    pub(super) fn open(_: Option<&File>, _: &Path, _: super::Links) -> io::Result<File> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;

    #[test]
    fn opens_only_regular_files_and_never_blocks() {
        let root = tempfile::tempdir().unwrap();
        File::create(root.path().join("file")).unwrap().write_all(b"bytes").unwrap();
        File::create(root.path().join("empty")).unwrap();
        std::os::unix::fs::symlink("file", root.path().join("link")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", root.path().join("device")).unwrap();
        std::os::unix::fs::symlink("pipe", root.path().join("link to pipe")).unwrap();
        std::os::unix::fs::symlink("loop", root.path().join("loop")).unwrap();
        fs::create_dir(root.path().join("directory")).unwrap();
        let made = std::process::Command::new("mkfifo").arg(root.path().join("pipe")).status();
        assert!(made.unwrap().success());
        let directory = File::open(root.path()).unwrap();
        for (name, size) in [("file", 5), ("empty", 0)] {
            assert_eq!(open_regular(&root.path().join(name)).unwrap().1, size);
            assert_eq!(
                read_regular_at(&directory, name, size).unwrap(),
                b"bytes"[..usize::try_from(size).unwrap()]
            );
        }
        assert_eq!(open_regular_or_link(&root.path().join("link")).unwrap().1, 5);
        open_regular(&root.path().join("link")).unwrap_err();
        read_regular_at(&directory, "link", 5).unwrap_err();
        for name in ["device", "link to pipe", "loop", "directory", "pipe", "missing"] {
            open_regular(&root.path().join(name)).unwrap_err();
            open_regular_or_link(&root.path().join(name)).unwrap_err();
            read_limited(&root.path().join(name), 5).unwrap_err();
            read_regular_at(&directory, name, 5).unwrap_err();
        }
        assert_eq!(read_limited(&root.path().join("link"), 5).unwrap(), b"bytes");
        let too_large = read_limited(&root.path().join("link"), 4).unwrap_err();
        assert_eq!(too_large.kind(), io::ErrorKind::FileTooLarge);
        for size in [0, 4, 6] {
            assert_eq!(
                read_regular_at(&directory, "file", size).unwrap_err().kind(),
                io::ErrorKind::InvalidData
            );
        }
    }
}
