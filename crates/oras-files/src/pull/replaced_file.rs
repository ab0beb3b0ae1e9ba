//! A file that a pull replaces: its second name in the staging directory, and its name beside the new file.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use cap_std::fs::Dir;

/// The number of names to try for an earlier file that cannot be moved back to its path.
const ATTEMPTS: u32 = 1000;

/// Moves the file `aside` of `staging` to an unused name beside `path`, which is below `dir`. Returns the new path.
pub(crate) fn keep_beside(staging: &Dir, dir: &Dir, path: &Path, aside: &Path) -> Option<PathBuf> {
    for attempt in 0..ATTEMPTS {
        let mut name = OsString::from(path.file_name()?);
        name.push(if attempt == 0 { ".oras-old".to_owned() } else { format!(".oras-old-{attempt}") });
        let beside = path.with_file_name(name);
        match staging.hard_link(aside, dir, &beside) {
            Ok(()) => return Some(beside),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            // The file system may have no hard links, so the file is renamed instead.
            Err(_) => {}
        }
        // A rename replaces existing files, so the name must be unused.
        match dir.symlink_metadata(&beside) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return staging.rename(aside, dir, &beside).is_ok().then_some(beside);
            }
            Err(_) => return None,
            Ok(_) => {}
        }
    }
    None
}

/// Returns true if `path` still names the earlier file, so that its second name `aside` is not needed.
#[cfg(unix)]
pub(crate) fn is_same_file(staging: &Dir, dir: &Dir, path: &Path, aside: &Path) -> bool {
    use cap_std::fs::MetadataExt;
    let (Ok(current), Ok(aside)) = (dir.symlink_metadata(path), staging.symlink_metadata(aside)) else {
        return false;
    };
    // Some file systems without hard links generate inode numbers, so the number of links is checked, too.
    (current.dev(), current.ino()) == (aside.dev(), aside.ino()) && current.nlink() > 1
}

#[cfg(not(unix))]
pub(crate) fn is_same_file(_: &Dir, _: &Dir, _: &Path, _: &Path) -> bool {
    false
}
