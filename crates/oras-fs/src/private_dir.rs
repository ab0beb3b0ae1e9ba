//! A directory that only the current user can enter, and the files in it.
//!
//! Each function takes an open directory and a name in it, and follows no symbolic link, so another user cannot
//! redirect a write. On systems other than Unix every function fails.

pub(crate) use system::{
    identity, length, link, list, open, open_file, remove, remove_directory, rename, rename_from,
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

    /// The number of attempts to open the directory while other processes remove it.
    const MAX_OPEN_ATTEMPTS: u32 = 8;

    /// Returns the device and inode number, which identify a file.
    pub(crate) fn identity(file: &File) -> io::Result<(u64, u64)> {
        let metadata = file.metadata()?;
        Ok((metadata.dev(), metadata.ino()))
    }

    /// Returns true if the file system of `parent` gives all directories the same owner and mode, as exFAT, vfat and
    /// mounts of another user do. `directory` is the metadata of a directory in `parent`.
    ///
    /// A private directory does not protect its files there, but it adds no risk: a user who can write in it can
    /// also write in `parent`.
    fn ignores_modes(parent: &File, directory: &Metadata) -> io::Result<bool> {
        let access = |metadata: &Metadata| (metadata.dev(), metadata.uid(), metadata.mode());
        if access(&parent.metadata()?) != access(directory) {
            return Ok(false);
        }
        // Equal modes may be a coincidence. The probe requests the mode 0700. If it gets the mode of `directory`
        // instead, the file system ignores modes.
        let probe = format!(".oras-modes-{}", std::process::id());
        mkdirat(parent, &*probe, Mode::RWXU)?;
        let probed = statat(parent, &*probe, AtFlags::SYMLINK_NOFOLLOW);
        remove_directory(parent, &probe)?;
        let probed = probed?;
        Ok((probed.st_uid, probed.st_mode) == (directory.uid(), directory.mode()))
    }

    /// Opens and locks the directory `name` in `parent`. Creates it if it does not exist and `should_create` is true.
    ///
    /// # Errors
    /// `PermissionDenied` if other users can enter the directory, except on a file system that ignores modes.
    /// `WouldBlock` if another process has the lock.
    pub(crate) fn open(parent: &File, name: &str, should_create: bool) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        for _ in 0..MAX_OPEN_ATTEMPTS {
            let is_created = match should_create.then(|| mkdirat(parent, name, Mode::RWXU)) {
                Some(Ok(())) => true,
                Some(Err(Errno::EXIST)) | None => false,
                Some(Err(error)) => return Err(error.into()),
            };
            let directory = match openat(parent, name, flags, Mode::empty()) {
                Ok(directory) => File::from(directory),
                // Another process deleted the empty directory after `mkdirat`.
                Err(Errno::NOENT) if should_create => continue,
                Err(error) => return Err(error.into()),
            };
            let metadata = directory.metadata()?;
            let is_owner = metadata.uid() == rustix::process::geteuid().as_raw();
            let is_private = is_owner && metadata.mode() & 0o077 == 0;
            if !is_private && !ignores_modes(parent, &metadata)? {
                if is_created {
                    drop(remove_directory(parent, name));
                }
                return Err(io::ErrorKind::PermissionDenied.into());
            }
            directory.try_lock()?;
            // The process that had the lock before may have removed the directory. Then the lock protects nothing,
            // and the name must be opened again.
            let (named, locked) = (statat(parent, name, AtFlags::SYMLINK_NOFOLLOW), fstat(&directory)?);
            if named.is_ok_and(|named| (named.st_dev, named.st_ino) == (locked.st_dev, locked.st_ino)) {
                return Ok(directory);
            }
        }
        Err(io::ErrorKind::ResourceBusy.into())
    }

    /// Opens the file `name` for reading and writing, and creates it if it does not exist.
    ///
    /// # Errors
    /// `PermissionDenied` unless it is a regular file that belongs to the owner of the directory and has no other
    /// name: a hard link could lead to a file outside of the directory.
    pub(crate) fn open_file(directory: &File, name: &str) -> io::Result<File> {
        // NOFOLLOW: opening a symbolic link fails. NONBLOCK: opening a pipe does not wait for its other end.
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(openat(directory, name, flags, Mode::from_raw_mode(0o666))?);
        let metadata = file.metadata()?;
        if metadata.is_file() && metadata.nlink() == 1 && metadata.uid() == directory.metadata()?.uid() {
            return Ok(file);
        }
        Err(io::ErrorKind::PermissionDenied.into())
    }

    /// Returns the length of the file `name`.
    pub(crate) fn length(directory: &File, name: &str) -> io::Result<u64> {
        let found = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(u64::try_from(found.st_size).unwrap_or(0))
    }

    /// Deletes the file `name`.
    pub(crate) fn remove(directory: &File, name: &str) -> io::Result<()> {
        Ok(unlinkat(directory, name, AtFlags::empty())?)
    }

    /// Deletes the directory `name` if it is empty.
    pub(crate) fn remove_directory(parent: &File, name: &str) -> io::Result<()> {
        Ok(unlinkat(parent, name, AtFlags::REMOVEDIR)?)
    }

    /// Moves the file `name` to the path `to`, which is relative to `base`, or to the working directory without `base`.
    pub(crate) fn rename(directory: &File, name: &str, base: Option<&File>, to: &Path) -> io::Result<()> {
        match base {
            Some(base) => renameat(directory, name, base, to)?,
            None => renameat(directory, name, CWD, to)?,
        }
        Ok(())
    }

    /// Moves the file at the path `from`, which is relative to `base`, into the directory as `name`.
    pub(crate) fn rename_from(base: &File, from: &Path, directory: &File, name: &str) -> io::Result<()> {
        Ok(renameat(base, from, directory, name)?)
    }

    /// Creates the hard link `to` to the file `name`.
    ///
    /// # Errors
    /// `AlreadyExists` if `to` exists.
    pub(crate) fn link(directory: &File, name: &str, to: &Path) -> io::Result<()> {
        Ok(linkat(directory, name, CWD, to, AtFlags::empty())?)
    }

    /// Lists the names in the directory with the time of their last write. Errors may leave the list incomplete.
    pub(crate) fn list(directory: &File) -> Vec<(String, SystemTime)> {
        let Ok(entries) = Dir::read_from(directory) else { return Vec::new() };
        let name = |entry: rustix::fs::DirEntry| entry.file_name().to_str().ok().map(ToOwned::to_owned);
        let names = entries.flatten().filter_map(name).filter(|name| name != "." && name != "..");
        let modified = |name: String| {
            let found = statat(directory, &*name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
            // Whole seconds are enough, because callers compare the age with a limit of days.
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

    macro_rules! unsupported {
        ($($name:ident($($argument:ty),*) -> $result:ty;)*) => {
            $(pub(crate) fn $name($(_: $argument),*) -> io::Result<$result> {
                Err(io::ErrorKind::Unsupported.into())
            })*
        };
    }

    unsupported! {
        identity(&File) -> (u64, u64);
        open(&File, &str, bool) -> File;
        open_file(&File, &str) -> File;
        length(&File, &str) -> u64;
        remove(&File, &str) -> ();
        remove_directory(&File, &str) -> ();
        rename(&File, &str, Option<&File>, &Path) -> ();
        rename_from(&File, &Path, &File, &str) -> ();
        link(&File, &str, &Path) -> ();
    }

    pub(crate) fn list(_: &File) -> Vec<(String, SystemTime)> {
        Vec::new()
    }
}
