//! Scratch files and directories of the chores.

use std::path::{Path, PathBuf};

use crate::process::Result;

/// A new directory that is deleted with its contents when dropped.
pub struct ScratchDir {
    path: PathBuf,
    keep: bool,
}

impl ScratchDir {
    /// Creates `<parent>/<prefix>-<process id>-<n>`.
    pub fn new(parent: &Path, prefix: &str) -> Result<Self> {
        for n in 0..1000 {
            let path = parent.join(format!("{prefix}-{}-{n}", std::process::id()));
            match std::fs::create_dir(&path) {
                Ok(()) => return Ok(Self { path, keep: false }),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(format!("cannot make {}: {error}", path.display()).into()),
            }
        }
        Err(format!("too many {prefix}-* directories in {}: remove them", parent.display()).into())
    }

    /// Returns its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves the directory in place when dropped.
    pub fn keep(&mut self) {
        self.keep = true;
    }
}

impl Drop for ScratchDir {
    fn drop(&mut self) {
        if !self.keep {
            // A chore that fails to clean up has still done its work.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// Writes a scratch file, and creates its directory.
pub fn write(path: &Path, bytes: impl AsRef<[u8]>) -> Result {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    #[expect(clippy::disallowed_methods, reason = "scratch files of a chore need no staging")]
    std::fs::write(path, bytes).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    Ok(())
}

/// Reads a text file. The error names it.
pub fn read_text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()).into())
}

/// Returns every file below `dir`, sorted, or nothing if `dir` does not exist. Links are not followed.
pub fn files_below(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut pending = vec![dir.to_path_buf()];
    while let Some(dir) = pending.pop() {
        if !dir.is_dir() {
            continue;
        }
        for entry in std::fs::read_dir(&dir)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                pending.push(entry.path());
            } else {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removes_scratch_directory_and_lists_files_in_order() {
        let scratch = ScratchDir::new(&std::env::temp_dir(), "xtask-files").unwrap();
        let top = scratch.path().to_path_buf();
        write(&top.join("b/two"), "2").unwrap();
        write(&top.join("a"), "1").unwrap();
        assert_eq!(files_below(&top).unwrap(), [top.join("a"), top.join("b/two")]);
        assert_eq!(files_below(&top.join("absent")).unwrap(), Vec::<PathBuf>::new());
        drop(scratch);
        assert!(!top.exists());
    }
}
