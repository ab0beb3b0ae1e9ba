//! The readiness check of layouts.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use oras_fs::{StagedFile, blocking};
use oras_store::{Error, Result};

/// Fails unless `path` can be read and, if `writes`, files can be created in it.
pub(super) async fn check_readiness(path: PathBuf, writes: bool) -> Result<()> {
    blocking(move || {
        let unreadable = |error| Error::io(format!("failed to read {}", path.display()), error);
        if fs::metadata(&path).map_err(unreadable)?.is_dir() {
            fs::read_dir(&path).map_err(unreadable)?;
        } else {
            fs::File::open(&path).map_err(unreadable)?;
        }
        // Only an actual write detects a full or read-only file system.
        if writes {
            let mut file = StagedFile::create(&path)?;
            let written = file.write_all(b"ready\n");
            written.map_err(|error| Error::io(format!("failed to write to {}", path.display()), error))?;
        }
        Ok(())
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn missing_directory_is_not_ready() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("root");
        fs::create_dir(&root).unwrap();
        check_readiness(root.clone(), true).await.unwrap();
        assert_eq!(fs::read_dir(&root).unwrap().count(), 0, "no file is left");
        fs::remove_dir(&root).unwrap();
        assert!(
            check_readiness(root.clone(), true).await.is_err()
                && check_readiness(root.clone(), false).await.is_err()
        );
        fsio_file(&root);
        check_readiness(root.clone(), false).await.unwrap();
        assert!(check_readiness(root, true).await.is_err(), "a file can't contain files");
    }

    fn fsio_file(path: &std::path::Path) {
        oras_fs::replace(path, b"x", 0o666).unwrap();
    }
}
