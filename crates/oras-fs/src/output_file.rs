//! Writes results to a path that the user named: a file, a symbolic link, a device or a pipe.
//!
//! Use these functions for the path in an option such as `--output`, which may be `/dev/stdout`.
//!
//! ```
//! use oras_fs::output_file;
//! use oras_spec::MediaType;
//! use oras_store::Content;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! let path = directory.path().join("layer.tar");
//! output_file::save(&Content::of(MediaType::LAYER_TAR, "hello world\n"), &path).await?;
//! assert_eq!(std::fs::read(&path)?, b"hello world\n");
//! # Ok(()) }
//! ```

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::{Durability, blocking, failed_to, parent_directory, replace, stage, write_verified};
use oras_store::{Content, Result};

/// Verifies `content` and writes it to `path`. A symbolic link is followed.
///
/// A file is replaced atomically, after the content is verified. A device or a pipe gets the bytes as they arrive,
/// before they are verified.
///
/// # Errors
/// The errors of reading the content, `DigestMismatch` or `SizeMismatch`, or `Io`. An existing file is unchanged then.
pub async fn save(content: &Content, path: &Path) -> Result<()> {
    let named = path.to_owned();
    let (target, device) = blocking(move || {
        let target = follow_link(&named);
        let device = if is_device_or_pipe(&target) { Some(open(&target)?) } else { None };
        Ok((target, device))
    })
    .await?;
    // A rename would replace the device by a file, so the bytes are written to the device itself.
    if let Some(device) = device {
        return write_verified(content, device, path.display().to_string(), |_| Ok(())).await;
    }
    let staged = stage(content, parent_directory(&target), Durability::Relaxed).await?;
    blocking(move || staged.publish(&target).map(drop)).await
}

/// Writes `bytes` to `path` like [`save`], without verification.
///
/// # Errors
/// `Io`. An existing file is unchanged then.
pub fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    let target = follow_link(path);
    if !is_device_or_pipe(&target) {
        return replace(&target, bytes, 0o666);
    }
    open(&target)?.write_all(bytes).map_err(failed_to("write", path))
}

/// Returns the target of a symbolic link, even if the target does not exist. Returns any other path unchanged.
fn follow_link(path: &Path) -> PathBuf {
    if let Ok(target) = path.canonicalize() {
        return if path.is_symlink() { target } else { path.to_owned() };
    }
    // `canonicalize` fails for a link whose target does not exist. Writing through the link creates the target.
    match fs::read_link(path) {
        Ok(target) => parent_directory(path).join(target),
        Err(_) => path.to_owned(),
    }
}

fn is_device_or_pipe(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
}

fn open(path: &Path) -> Result<File> {
    File::options().write(true).open(path).map_err(failed_to("open", path))
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{FileTypeExt, symlink};

    use oras_spec::MediaType;

    use super::*;

    #[tokio::test]
    async fn follows_links_and_keeps_devices() {
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
