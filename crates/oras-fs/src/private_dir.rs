//! A directory for this user alone, and files in it: by handles, never by following a link. Where the system has no such
//! handles nothing is opened.

pub(super) use system::{
    identity, length, link, list, open, open_existing, open_file, remove, remove_directory, rename, take,
};

#[cfg(unix)]
mod system {
    use std::fs::{File, Metadata};
    use std::io;
    use std::os::unix::fs::MetadataExt;
    use std::path::Path;
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use rustix::fs::{
        AtFlags, CWD, Dir, Mode, OFlags, fstat, linkat, mkdirat, openat, renameat, statat, unlinkat,
    };
    use rustix::io::Errno;

    /// Times that another process may remove the directory while it is opened.
    const ATTEMPTS: u32 = 8;

    /// What tells a file from all others.
    pub(crate) fn identity(file: &File) -> io::Result<(u64, u64)> {
        let metadata = file.metadata()?;
        Ok((metadata.dev(), metadata.ino()))
    }

    fn is_private(metadata: &Metadata) -> bool {
        metadata.uid() == rustix::process::geteuid().as_raw() && metadata.mode() & 0o077 == 0
    }

    /// Returns true if `parent` is on a file system that gives every directory one owner and mode, those of `found` and of
    /// `parent`: exFAT, vfat, mounts that belong to another user. A directory in `parent` protects nothing there, and
    /// whoever can write in it can write in `parent` itself.
    fn keeps_no_modes(parent: &File, found: &Metadata) -> io::Result<bool> {
        let access = |metadata: &Metadata| (metadata.dev(), metadata.uid(), metadata.mode());
        if access(&parent.metadata()?) != access(found) {
            return Ok(false);
        }
        // Only a new directory shows that its mode is not the one that was asked for.
        let probe = format!(".oras-modes-{}", std::process::id());
        match mkdirat(parent, &*probe, Mode::RWXU) {
            Ok(()) => {}
            Err(error) => return Err(error.into()),
        }
        let made = statat(parent, &*probe, AtFlags::SYMLINK_NOFOLLOW);
        remove_directory(parent, &probe)?;
        let made = made?;
        Ok((made.st_uid, made.st_mode) == (found.uid(), found.mode()))
    }

    /// The directory `name` in `parent`, there or made, locked: no other process has it, and nobody else can enter it where the
    /// file system keeps modes.
    pub(crate) fn open(parent: &File, name: &str) -> io::Result<File> {
        opened(parent, name, true)
    }

    /// The same if it is there.
    pub(crate) fn open_existing(parent: &File, name: &str) -> io::Result<File> {
        opened(parent, name, false)
    }

    fn opened(parent: &File, name: &str, make: bool) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        for _ in 0..ATTEMPTS {
            let made = match make.then(|| mkdirat(parent, name, Mode::RWXU)) {
                Some(Ok(())) => true,
                Some(Err(Errno::EXIST)) | None => false,
                Some(Err(error)) => return Err(error.into()),
            };
            let directory = match openat(parent, name, flags, Mode::empty()) {
                Ok(directory) => File::from(directory),
                Err(Errno::NOENT) if make => continue,
                Err(error) => return Err(error.into()),
            };
            let metadata = directory.metadata()?;
            if !is_private(&metadata) && !keeps_no_modes(parent, &metadata)? {
                if made {
                    drop(remove_directory(parent, name));
                }
                return Err(io::ErrorKind::PermissionDenied.into());
            }
            directory.try_lock()?;
            // Whoever had the lock before may have removed the directory.
            let (named, locked) = (statat(parent, name, AtFlags::SYMLINK_NOFOLLOW), fstat(&directory)?);
            if named.is_ok_and(|named| (named.st_dev, named.st_ino) == (locked.st_dev, locked.st_ino)) {
                return Ok(directory);
            }
        }
        Err(io::ErrorKind::ResourceBusy.into())
    }

    /// The file `name`, there or made, for reading and writing: a file with this one name, and with the owner of
    /// the directory.
    pub(crate) fn open_file(directory: &File, name: &str) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(openat(directory, name, flags, Mode::from_raw_mode(0o666))?);
        let metadata = file.metadata()?;
        if metadata.is_file() && metadata.nlink() == 1 && metadata.uid() == directory.metadata()?.uid() {
            return Ok(file);
        }
        Err(io::ErrorKind::PermissionDenied.into())
    }

    pub(crate) fn length(directory: &File, name: &str) -> io::Result<u64> {
        let found = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(u64::try_from(found.st_size).unwrap_or(0))
    }

    pub(crate) fn remove(directory: &File, name: &str) -> io::Result<()> {
        Ok(unlinkat(directory, name, AtFlags::empty())?)
    }

    pub(crate) fn remove_directory(parent: &File, name: &str) -> io::Result<()> {
        Ok(unlinkat(parent, name, AtFlags::REMOVEDIR)?)
    }

    /// Moves a file to `to`, below another directory or where paths begin.
    pub(crate) fn rename(directory: &File, name: &str, below: Option<&File>, to: &Path) -> io::Result<()> {
        match below {
            Some(below) => renameat(directory, name, below, to)?,
            None => renameat(directory, name, CWD, to)?,
        }
        Ok(())
    }

    /// Moves the file `from` below `other` to `name`.
    pub(crate) fn take(other: &File, from: &Path, directory: &File, name: &str) -> io::Result<()> {
        Ok(renameat(other, from, directory, name)?)
    }

    /// Gives a file another name, unless something has it.
    pub(crate) fn link(directory: &File, name: &str, to: &Path) -> io::Result<()> {
        Ok(linkat(directory, name, CWD, to, AtFlags::empty())?)
    }

    /// The names in a directory, with the time each file was last written.
    pub(crate) fn list(directory: &File) -> Vec<(String, SystemTime)> {
        let Ok(entries) = Dir::read_from(directory) else { return Vec::new() };
        let name = |entry: rustix::fs::DirEntry| entry.file_name().to_str().ok().map(ToOwned::to_owned);
        let names = entries.flatten().filter_map(name).filter(|name| name != "." && name != "..");
        let modified = |name: String| {
            let found = statat(directory, &*name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
            let seconds = u64::try_from(found.st_mtime).unwrap_or(0);
            Some((name, UNIX_EPOCH + Duration::from_secs(seconds)))
        };
        names.filter_map(modified).collect()
    }
}

#[cfg(not(unix))]
mod system {
    use std::fs::File;
    use std::io;
    use std::path::Path;
    use std::time::SystemTime;

    pub(crate) fn identity(_: &File) -> io::Result<(u64, u64)> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn open(_: &File, _: &str) -> io::Result<File> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn open_existing(_: &File, _: &str) -> io::Result<File> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn open_file(_: &File, _: &str) -> io::Result<File> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn length(_: &File, _: &str) -> io::Result<u64> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn remove(_: &File, _: &str) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn remove_directory(_: &File, _: &str) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn rename(_: &File, _: &str, _: Option<&File>, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn take(_: &File, _: &Path, _: &File, _: &str) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn link(_: &File, _: &str, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn list(_: &File) -> Vec<(String, SystemTime)> {
        Vec::new()
    }
}
