//! Plain files, opened without being looked at before: what is a link, a pipe or a directory is an error, and nothing is
//! waited for. Where the system can't open like that, everything is an error.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::Path;

use bytes::Bytes;

/// Opens a plain file, and tells its length.
///
/// # Errors
/// Those of opening; [`ErrorKind::InvalidInput`] for what is no plain file.
pub fn open_plain(path: &Path) -> io::Result<(File, u64)> {
    let file = system::open(None, path)?;
    let metadata = file.metadata()?;
    if metadata.is_file() { Ok((file, metadata.len())) } else { Err(ErrorKind::InvalidInput.into()) }
}

/// All bytes of the file `name` in an open directory, if it is a plain one of that length.
///
/// # Errors
/// Those of opening and of reading; [`ErrorKind::InvalidData`] for another length.
pub fn read_plain(directory: &File, name: &str, size: u64) -> io::Result<Bytes> {
    let file = system::open(Some(directory), Path::new(name))?;
    // No length need be asked for, and what is no file can't be read like that.
    super::read_whole(&file, size)?.ok_or_else(|| ErrorKind::InvalidData.into())
}

#[cfg(unix)]
mod system {
    use std::fs::File;
    use std::io;
    use std::path::Path;

    use rustix::fs::{CWD, Mode, OFlags, openat};

    pub(super) fn open(directory: Option<&File>, path: &Path) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
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
    use std::io::{self, ErrorKind};
    use std::path::Path;

    pub(super) fn open(_: Option<&File>, _: &Path) -> io::Result<File> {
        Err(ErrorKind::Unsupported.into())
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;

    #[test]
    fn only_plain_files_are_opened_and_nothing_is_waited_for() {
        let root = tempfile::tempdir().unwrap();
        File::create(root.path().join("file")).unwrap().write_all(b"bytes").unwrap();
        File::create(root.path().join("empty")).unwrap();
        std::os::unix::fs::symlink("file", root.path().join("link")).unwrap();
        fs::create_dir(root.path().join("directory")).unwrap();
        let made = std::process::Command::new("mkfifo").arg(root.path().join("pipe")).status();
        assert!(made.unwrap().success());
        let directory = File::open(root.path()).unwrap();
        for (name, size) in [("file", 5), ("empty", 0)] {
            assert_eq!(open_plain(&root.path().join(name)).unwrap().1, size);
            assert_eq!(
                read_plain(&directory, name, size).unwrap(),
                b"bytes"[..usize::try_from(size).unwrap()]
            );
        }
        for name in ["link", "directory", "pipe", "missing"] {
            open_plain(&root.path().join(name)).unwrap_err();
            read_plain(&directory, name, 5).unwrap_err();
        }
        for size in [0, 4, 6] {
            assert_eq!(read_plain(&directory, "file", size).unwrap_err().kind(), ErrorKind::InvalidData);
        }
    }
}
