//! Checks of this machine: credential files, and directories that the client writes.

use std::path::{Path, PathBuf};

use oras_remote::DockerConfig;
use oras_store::{Error, Result};

use super::{Check, DoctorOptions};

/// The maximum number of files that are counted in a directory. A full cache may have more.
const MAX_FILES: usize = 200_000;

pub(super) async fn examine(options: &DoctorOptions, checks: &mut Vec<Check>) {
    if let Some(credentials) = &options.credentials {
        checks.push(credential_files(credentials));
    }
    let directories = [
        ("cache", options.cache.clone(), "Set ORAS_CACHE to a directory that you may write to, or unset it"),
        (
            "upload-state",
            options.client.unfinished_uploads.clone(),
            "Make the directory writable, or uploads do not resume in a later run; ORAS_STATE=off disables this",
        ),
        ("lock-directory", options.locks.clone(), "Set TMPDIR to a directory that you may write to"),
    ];
    for (name, path, advice) in directories {
        checks.push(match path {
            None => Check::ok(name, "not used"),
            Some(path) => directory(name, path, advice).await,
        });
    }
}

/// Checks that the credential files can be read, and that other users cannot read them.
fn credential_files(credentials: &DockerConfig) -> Check {
    const NAME: &str = "credential-files";
    if let Err(error) = credentials.check() {
        return Check::fail(
            NAME,
            error.chain(),
            "Correct the file, or name another one by --registry-config",
        );
    }
    let files: Vec<&Path> = credentials.files().filter(|file| file.exists()).collect();
    let exposed = files.iter().find(|file| others_may_read(file));
    if let Some(file) = exposed {
        let message = format!("other users of this machine may read {}", file.display());
        return Check::warn(NAME, message, format!("Run chmod 600 {}", file.display()));
    }
    match files.as_slice() {
        [] => Check::ok(NAME, "no credential file"),
        files => {
            let names: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
            Check::ok(NAME, names.join(", "))
        }
    }
}

#[cfg(unix)]
fn others_may_read(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(file).is_ok_and(|metadata| metadata.permissions().mode() & 0o044 != 0)
}

#[cfg(not(unix))]
fn others_may_read(_file: &Path) -> bool {
    false
}

/// Checks that files can be created in a directory, and adds up their sizes.
async fn directory(name: &'static str, path: PathBuf, advice: &'static str) -> Check {
    let shown = path.display().to_string();
    match oras_fs::blocking(move || usage(&path)).await {
        Ok(Usage::Missing) => Check::ok(name, format!("{shown} is created when it is needed")),
        // The size of a directory for temporary files says nothing about this program.
        Ok(Usage::Writable { .. }) if name == "lock-directory" => {
            Check::ok(name, format!("{shown} is writable"))
        }
        Ok(Usage::Writable { bytes, files }) => {
            let at_least = if files >= MAX_FILES { "at least " } else { "" };
            let files = if files == 1 { "1 file".to_owned() } else { format!("{files} files") };
            Check::ok(name, format!("{shown} is writable, {at_least}{bytes} bytes in {files}"))
        }
        Err(error) => Check::fail(name, error.chain(), advice),
    }
}

enum Usage {
    /// The directory does not exist, and can be created.
    Missing,
    Writable {
        bytes: u64,
        files: usize,
    },
}

fn usage(path: &Path) -> Result<Usage> {
    let failed = |error| Error::io(format!("{} is not writable", path.display()), error);
    if !path.exists() {
        // The nearest directory above decides whether the missing one can be created.
        let above = path.ancestors().skip(1).find(|above| above.exists()).unwrap_or_else(|| Path::new("."));
        let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
        tempfile::tempfile_in(above).map_err(failed)?;
        return Ok(Usage::Missing);
    }
    // The file has no name, or is deleted when it is closed, so nothing stays behind.
    tempfile::tempfile_in(path).map_err(failed)?;
    let (mut bytes, mut files, mut pending) = (0_u64, 0, vec![path.to_owned()]);
    while let Some(directory) = pending.pop() {
        // A directory may be deleted while it is counted.
        let Ok(entries) = std::fs::read_dir(directory) else { continue };
        for entry in entries.flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            if files >= MAX_FILES {
                return Ok(Usage::Writable { bytes, files });
            }
            if metadata.is_dir() {
                pending.push(entry.path());
            } else {
                files += 1;
                bytes = bytes.saturating_add(metadata.len());
            }
        }
    }
    Ok(Usage::Writable { bytes, files })
}
