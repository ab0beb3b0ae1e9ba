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
