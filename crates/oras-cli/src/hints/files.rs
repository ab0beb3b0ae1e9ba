//! Hints for files and for the system.

use std::io;
use std::path::Path;

use oras::store::{Error, ErrorKind};

use super::nearest::nearest;
use super::network;
use super::subject::Subject;

/// A file in the way of a pull.
pub(super) fn existing_file(error: &Error, _: &Subject) -> Option<String> {
    if error.kind() != ErrorKind::AlreadyExists {
        return None;
    }
    let text = error.chain();
    if text.contains("overwrite disallowed") {
        return Some(
            "to replace it, leave out --keep-old-files; to keep it, pull into another directory: -o <dir>"
                .to_owned(),
        );
    }
    // The output of `oras backup` has advice of its own.
    let is_pull = !text.contains("already exists");
    let is_other_type = text.ends_with(" is a directory") || text.ends_with(" is not a directory");
    (is_pull && is_other_type).then(|| "move it away, or pull into another directory: -o <dir>".to_owned())
}

/// A failed system call.
pub(super) fn system_error(error: &Error, _: &Subject) -> Option<String> {
    for_io(error.find::<io::Error>()?)
}

/// Returns the hint for a failed system call.
pub(crate) fn for_io(error: &io::Error) -> Option<String> {
    let error = of_system(error)?;
    Some(match error.kind() {
        io::ErrorKind::StorageFull => "free space on that disk, and run the command again".to_owned(),
        io::ErrorKind::QuotaExceeded => "delete files of yours, or ask for a larger disk quota".to_owned(),
        io::ErrorKind::ReadOnlyFilesystem => {
            "that file system is read-only: use a directory elsewhere, for example below $HOME".to_owned()
        }
        io::ErrorKind::PermissionDenied => {
            "check the owner and the mode (ls -ld), or use a directory of yours".to_owned()
        }
        // `EMFILE` and `ENFILE` have no kind.
        _ if cfg!(unix) && matches!(error.raw_os_error(), Some(23 | 24)) => network::too_many_files(),
        _ => return None,
    })
}

/// Returns the error of the system, which has a number, also if a library has wrapped it. Returns `None` for an error that
/// a library has made: for a rejected entry of an archive, for example.
fn of_system(error: &io::Error) -> Option<&io::Error> {
    if error.raw_os_error().is_some() {
        return Some(error);
    }
    let inner: &dyn std::error::Error = error.get_ref()?;
    let mut causes = std::iter::successors(Some(inner), |cause| cause.source());
    causes.find_map(|cause| cause.downcast_ref::<io::Error>().filter(|cause| cause.raw_os_error().is_some()))
}

/// A file that does not exist, while a file with a similar name does.
pub(super) fn missing_file(error: &Error, _: &Subject) -> Option<String> {
    // The error has no type and no source; its words are those of the Go tool.
    let text = error.chain();
    let path = text.split_once("stat ")?.1.strip_suffix(": no such file or directory")?;
    let path = Path::new(path);
    let name = path.file_name()?.to_str()?;
    let entries = std::fs::read_dir(path.parent()?).ok()?;
    // The limit bounds the time in huge directories.
    let names = entries.take(10_000).filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let names: Vec<_> = names.filter(|name| !name.chars().any(char::is_control)).collect();
    let found = nearest(name, names.iter().map(String::as_str));
    found.first().map(|found| format!("did you mean {found}?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_only_errors_of_the_system() {
        let made = io::Error::new(io::ErrorKind::PermissionDenied, "a hard link must lead to a file");
        assert_eq!(for_io(&made), None);
        let missing = tempfile_like(io::Error::from(io::ErrorKind::PermissionDenied));
        assert_eq!(for_io(&missing), None);
        #[cfg(unix)]
        assert!(for_io(&tempfile_like(io::Error::from_raw_os_error(13))).is_some());
    }

    /// Wraps an error as the crate `tempfile` does.
    fn tempfile_like(error: io::Error) -> io::Error {
        io::Error::new(error.kind(), oras::store::Error::io("failed at a path", error))
    }
}
