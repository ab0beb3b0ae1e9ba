//! Whether a place of layouts can be used.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use oras_store::fsio::{Staged, blocking};
use oras_store::{Error, Result};

/// Fails unless what is at `path` can be read and, if `writes`, files can be written there.
pub(super) async fn check(path: PathBuf, writes: bool) -> Result<()> {
    blocking(move || {
        let unreadable = |error| Error::io(format!("failed to read {}", path.display()), error);
        if fs::metadata(&path).map_err(unreadable)?.is_dir() {
            fs::read_dir(&path).map_err(unreadable)?;
        } else {
            fs::File::open(&path).map_err(unreadable)?;
        }
        if writes {
            let mut file = Staged::create(&path)?;
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
    async fn what_is_gone_can_not_be_used() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("root");
        fs::create_dir(&root).unwrap();
        check(root.clone(), true).await.unwrap();
        assert_eq!(fs::read_dir(&root).unwrap().count(), 0, "nothing is left");
        fs::remove_dir(&root).unwrap();
        assert!(check(root.clone(), true).await.is_err() && check(root.clone(), false).await.is_err());
        fsio_file(&root);
        check(root.clone(), false).await.unwrap();
        assert!(check(root, true).await.is_err(), "a file is no directory");
    }

    fn fsio_file(path: &std::path::Path) {
        oras_store::fsio::replace(path, b"x", 0o666).unwrap();
    }
}
