//! Partial files that nobody is at: found below a directory, and removed.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use oras_spec::Digest;

use super::partial_file::NAME;
use super::private_dir;
use oras_store::{Error, Result};

/// What came of content whose download was not finished, kept for the next run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdlePartialFile {
    /// The directory that the content was to go to.
    pub directory: PathBuf,
    /// The digest of the whole content.
    pub digest: Digest,
    /// The bytes that came so far.
    pub size: u64,
    /// When the last of them came.
    pub touched: SystemTime,
    name: String,
}

impl IdlePartialFile {
    /// Where the file is.
    pub fn path(&self) -> PathBuf {
        self.directory.join(NAME).join(&self.name)
    }

    /// Removes the file, unless a process works in its directory; whether it was there to be removed.
    ///
    /// # Errors
    /// `Io` when the file can't be removed.
    pub fn remove(&self) -> Result<bool> {
        let Ok(parent) = File::open(&self.directory) else { return Ok(false) };
        let Ok(directory) = private_dir::open_existing(&parent, NAME) else { return Ok(false) };
        match private_dir::remove(&directory, &self.name) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            Err(error) => {
                return Err(Error::io(format!("failed to remove {}", self.path().display()), error));
            }
        }
        // Only an empty directory goes, while no other process has it.
        drop(private_dir::remove_directory(&parent, NAME));
        Ok(true)
    }
}

/// All partial files in `root` and in the directories below it, links not followed, in the order of their paths. Those
/// that a process is at are left out, and what can't be read below `root`.
///
/// # Errors
/// `Io` when `root` can't be read.
pub fn find_idle_partial_files(root: &Path) -> Result<Vec<IdlePartialFile>> {
    let (mut found, mut next) = (Vec::new(), vec![root.to_owned()]);
    while let Some(directory) = next.pop() {
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(_) if directory != root => continue,
            Err(error) => return Err(Error::io(format!("failed to read {}", root.display()), error)),
        };
        for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
            match entry.file_name() == NAME {
                true => found.extend(idle_in(&directory)),
                false => next.push(entry.path()),
            }
        }
    }
    found.sort_by_key(IdlePartialFile::path);
    Ok(found)
}

/// The partial files of `directory`; none while a process works there.
fn idle_in(directory: &Path) -> Vec<IdlePartialFile> {
    let opened = File::open(directory).and_then(|parent| private_dir::open_existing(&parent, NAME));
    let Ok(partials) = opened else { return Vec::new() };
    let file = |(name, touched): (String, SystemTime)| {
        let digest = name.replacen('-', ":", 1).parse().ok()?;
        let size = private_dir::length(&partials, &name).ok()?;
        Some(IdlePartialFile { directory: directory.to_owned(), digest, size, touched, name })
    };
    private_dir::list(&partials).into_iter().filter_map(file).collect()
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::os::unix::fs::{DirBuilderExt, symlink};

    use super::*;

    /// A partial file in `directory`, as a run that broke off leaves it.
    fn leave(directory: &Path, bytes: &[u8]) -> PathBuf {
        fs::create_dir_all(directory).unwrap();
        let partials = directory.join(NAME);
        drop(fs::DirBuilder::new().mode(0o700).create(&partials));
        let path = partials.join(Digest::sha256(bytes).to_string().replace(':', "-"));
        crate::replace(&path, bytes, 0o666).unwrap();
        path
    }

    #[test]
    fn files_are_found_and_removed() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("a/b");
        let (one, two) = (leave(&deep, b"one"), leave(root.path(), b"three"));
        crate::replace(&root.path().join(NAME).join("other"), b"", 0o666).unwrap();
        symlink(root.path(), deep.join("loop")).unwrap();
        let found = find_idle_partial_files(root.path()).unwrap();
        let shown: Vec<_> = found.iter().map(|file| (file.path(), file.size)).collect();
        assert_eq!(shown, [(two.clone(), 5), (one.clone(), 3)]);
        assert_eq!(found[1].digest, Digest::sha256(b"one"));
        assert!(found[1].remove().unwrap() && !found[1].remove().unwrap());
        assert!(!deep.join(NAME).exists() && deep.exists());
        assert!(found[0].remove().unwrap());
        assert!(root.path().join(NAME).exists(), "there is something else in it");
        assert_eq!(
            find_idle_partial_files(&root.path().join("missing")).unwrap_err().kind(),
            oras_store::ErrorKind::Io
        );
    }

    #[test]
    fn files_in_use_are_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let path = leave(root.path(), b"one");
        let found = find_idle_partial_files(root.path()).unwrap();
        let lock = File::open(root.path().join(NAME)).unwrap();
        lock.try_lock().unwrap();
        assert_eq!(find_idle_partial_files(root.path()).unwrap(), []);
        assert!(!found[0].remove().unwrap() && path.exists());
        drop(lock);
        assert!(found[0].remove().unwrap() && !path.exists());
    }

    #[test]
    fn directories_of_others_are_not_entered() {
        let root = tempfile::tempdir().unwrap();
        let path = leave(root.path(), b"one");
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(root.path().join(NAME), open).unwrap();
        assert_eq!(find_idle_partial_files(root.path()).unwrap(), []);
        assert!(path.exists());
    }
}
