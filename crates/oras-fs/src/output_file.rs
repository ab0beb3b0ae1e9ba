//! Results that a user wants in a place of their own: a file, what a link leads to, a device, a pipe.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::{Durability, blocking};
use oras_store::{Content, Error, Result};

/// Writes `content` to `path`, verified: a file is replaced in one step and by right content only, a link is
/// followed; a device or a pipe gets the bytes as they come, and the error at their end if they were wrong.
///
/// # Errors
/// Those of reading the content; `DigestMismatch` or `SizeMismatch`; `Io`. A file that was there is untouched then.
pub async fn save(content: &Content, path: &Path) -> Result<()> {
    let owned = path.to_owned();
    let (place, device) = blocking(move || {
        let place = follow(&owned);
        let device = if is_special(&place) { Some(open(&place)?) } else { None };
        Ok((place, device))
    })
    .await?;
    if let Some(device) = device {
        return crate::write_verified(content, device, path.display().to_string(), |_| Ok(())).await;
    }
    let staged = crate::stage(content, directory_of(&place), Durability::Relaxed).await?;
    blocking(move || staged.publish(&place).map(drop)).await
}

/// Like [`save`], of bytes that are right.
pub fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    let place = follow(path);
    if !is_special(&place) {
        return crate::replace(&place, bytes, 0o666);
    }
    open(&place)?
        .write_all(bytes)
        .map_err(|error| Error::io(format!("failed to write {}", path.display()), error))
}

/// What a link leads to, whether it is there or not; any other path as it is.
fn follow(path: &Path) -> PathBuf {
    if let Ok(found) = path.canonicalize() {
        return if path.is_symlink() { found } else { path.to_owned() };
    }
    match fs::read_link(path) {
        Ok(target) => directory_of(path).join(target),
        Err(_) => path.to_owned(),
    }
}

fn is_special(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
}

fn open(path: &Path) -> Result<File> {
    File::options()
        .write(true)
        .open(path)
        .map_err(|error| Error::io(format!("failed to open {}", path.display()), error))
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{FileTypeExt, symlink};

    use oras_spec::MediaType;

    use super::*;

    #[tokio::test]
    async fn links_are_followed_and_devices_stay() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let content = Content::of(MediaType::LAYER_TAR, "hello");
        put(&path("old"), b"old").unwrap();
        symlink("old", path("link")).unwrap();
        symlink("new", path("dangling")).unwrap();
        save(&content, &path("link")).await.unwrap();
        put(&path("dangling"), b"new").unwrap();
        assert!(path("link").is_symlink() && path("dangling").is_symlink());
        assert_eq!(
            (fs::read(path("old")).unwrap(), fs::read(path("new")).unwrap()),
            (b"hello".into(), b"new".into())
        );

        symlink("/dev/null", path("null")).unwrap();
        save(&content, &path("null")).await.unwrap();
        put(&path("null"), b"x").unwrap();
        assert!(path("null").is_symlink() && fs::metadata("/dev/null").unwrap().file_type().is_char_device());
        assert!(save(&content, &path("no/where")).await.is_err());
    }
}
