//! Lists and deletes the partial files that no process uses.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use oras_spec::Digest;

use crate::io_error::{failed_to, if_exists};
use crate::partial_dir::PARTIAL_DIR_NAME;
use crate::private_dir;
use oras_store::Result;

/// The partial file of an interrupted download, which no process uses. A program lists and deletes such files if no
/// later run will resume the download.
///
/// ```
/// use oras_fs::{IdlePartialFile, find_idle_partial_files};
///
/// # fn main() -> oras_store::Result<()> {
/// # let directory = tempfile::tempdir().unwrap();
/// let unused: Vec<IdlePartialFile> = find_idle_partial_files(directory.path())?;
/// for partial in unused {
///     println!("{} bytes of {} in {}", partial.size, partial.digest, partial.path().display());
///     partial.remove()?;
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdlePartialFile {
    /// The output directory of the download, which contains the directory of partial files.
    pub directory: PathBuf,
    /// The digest of the complete content.
    pub digest: Digest,
    /// The number of bytes that were downloaded.
    pub size: u64,
    /// The time of the last write.
    pub touched: SystemTime,
    name: String,
}

impl IdlePartialFile {
    /// Returns the path of the file.
    pub fn path(&self) -> PathBuf {
        self.directory.join(PARTIAL_DIR_NAME).join(&self.name)
    }

    /// Deletes the file. Returns false if it does not exist or if a process uses its directory.
    ///
    /// # Errors
    /// `Io` if the file cannot be deleted.
    pub fn remove(&self) -> Result<bool> {
        let Ok(parent) = File::open(&self.directory) else { return Ok(false) };
        // The lock is held until the end of this function, so no other process can start to use the file.
        let Ok(directory) = private_dir::open(&parent, PARTIAL_DIR_NAME, false) else { return Ok(false) };
        let removed = if_exists(private_dir::remove(&directory, &self.name));
        if removed.map_err(failed_to("remove", &self.path()))?.is_none() {
            return Ok(false);
        }
        // Deletes the directory if it is empty. Another process cannot use it now, as this process has the lock.
        drop(private_dir::remove_directory(&parent, PARTIAL_DIR_NAME));
        Ok(true)
    }
}

/// Finds all partial files in `root` and its subdirectories that no process uses, sorted by path.
///
/// Symbolic links are not followed. Subdirectories that cannot be read are skipped.
///
/// # Errors
/// `Io` if `root` cannot be read.
pub fn find_idle_partial_files(root: &Path) -> Result<Vec<IdlePartialFile>> {
    let mut found = Vec::new();
    let mut unvisited = vec![root.to_owned()];
    while let Some(directory) = unvisited.pop() {
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(_) if directory != root => continue,
            Err(error) => return Err(failed_to("read", root)(error)),
        };
        for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
            match entry.file_name() == PARTIAL_DIR_NAME {
                true => found.extend(idle_partial_files_in(&directory)),
                false => unvisited.push(entry.path()),
            }
        }
    }
    // The order of `read_dir` depends on the file system. Output and tests need a stable order.
    found.sort_by_key(IdlePartialFile::path);
    Ok(found)
}

/// Returns the partial files of `directory`, or none if a process uses them.
fn idle_partial_files_in(directory: &Path) -> Vec<IdlePartialFile> {
    // `open` fails if another process has locked the directory, so the files of a running download are skipped.
    let opened = File::open(directory).and_then(|parent| private_dir::open(&parent, PARTIAL_DIR_NAME, false));
    let Ok(partials) = opened else { return Vec::new() };
    let file = |(name, touched): (String, SystemTime)| {
        // This crate names partial files by their digest, so a file with another name is not a partial file.
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

    /// Creates a partial file in `directory`, as an interrupted run does.
    fn create_partial_file(directory: &Path, bytes: &[u8]) -> PathBuf {
        fs::create_dir_all(directory).unwrap();
        let partials = directory.join(PARTIAL_DIR_NAME);
        drop(fs::DirBuilder::new().mode(0o700).create(&partials));
        let path = partials.join(Digest::sha256(bytes).to_string().replace(':', "-"));
        crate::replace(&path, bytes, 0o666).unwrap();
        path
    }

    #[test]
    fn finds_and_removes_partial_files() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("a/b");
        let (one, two) = (create_partial_file(&deep, b"one"), create_partial_file(root.path(), b"three"));
        crate::replace(&root.path().join(PARTIAL_DIR_NAME).join("other"), b"", 0o666).unwrap();
        symlink(root.path(), deep.join("loop")).unwrap();
        let found = find_idle_partial_files(root.path()).unwrap();
        let shown: Vec<_> = found.iter().map(|file| (file.path(), file.size)).collect();
        assert_eq!(shown, [(two.clone(), 5), (one.clone(), 3)]);
        assert_eq!(found[1].digest, Digest::sha256(b"one"));
        assert!(found[1].remove().unwrap() && !found[1].remove().unwrap());
        assert!(!deep.join(PARTIAL_DIR_NAME).exists() && deep.exists());
        assert!(found[0].remove().unwrap());
        assert!(root.path().join(PARTIAL_DIR_NAME).exists(), "it contains another file");
        assert_eq!(
            find_idle_partial_files(&root.path().join("missing")).unwrap_err().kind(),
            oras_store::ErrorKind::Io
        );
    }

    #[test]
    fn skips_files_in_use() {
        let root = tempfile::tempdir().unwrap();
        let path = create_partial_file(root.path(), b"one");
        let found = find_idle_partial_files(root.path()).unwrap();
        let lock = File::open(root.path().join(PARTIAL_DIR_NAME)).unwrap();
        lock.try_lock().unwrap();
        assert_eq!(find_idle_partial_files(root.path()).unwrap(), []);
        assert!(!found[0].remove().unwrap() && path.exists());
        drop(lock);
        assert!(found[0].remove().unwrap() && !path.exists());
    }

    #[test]
    fn skips_directory_that_others_can_enter() {
        let root = tempfile::tempdir().unwrap();
        let path = create_partial_file(root.path(), b"one");
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(root.path().join(PARTIAL_DIR_NAME), open).unwrap();
        assert_eq!(find_idle_partial_files(root.path()).unwrap(), []);
        assert!(path.exists());
    }
}
