//! Names of repositories and the paths of their layouts.

#[cfg(feature = "serve")]
use std::path::Path;

use oras_spec::layout::{BLOBS_DIR, INDEX_FILE, MARKER_FILE};
use oras_spec::reference::check_repository;
use oras_store::{Error, ErrorKind, Result};

/// The entries of a layout's directory, including `ingest` of the Go tool. No part of a repository's name may be one of
/// them.
pub(crate) const RESERVED: [&str; 4] = [BLOBS_DIR, INDEX_FILE, MARKER_FILE, "ingest"];

/// Fails for an invalid name, and for a reserved part, which could collide with the files of a parent repository.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let invalid = check_repository(name).is_err() || name.split('/').any(|part| RESERVED.contains(&part));
    if invalid {
        return Err(Error::new(ErrorKind::InvalidInput, format!("no repository can be named {name:?}")));
    }
    Ok(())
}

/// Derives a name for the layout at `path` from its file name, without `.tar` and invalid characters.
#[cfg(feature = "serve")]
pub(crate) fn name_of(path: &Path) -> String {
    // Resolves `.` and links, so that the name is that of the directory itself.
    let full = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let file = full.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let stem = file.strip_suffix(".tar").unwrap_or(&file);
    let words: Vec<_> = stem
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '.'))
        .map(|word| word.trim_matches('.'))
        .filter(|word| !word.is_empty())
        .collect();
    let name = words.join("-");
    if check_repository(&name).is_ok() { name } else { "layout".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_reserved_names() {
        for name in
            ["blobs", "a/blobs", "a/blobs/b", "index.json/a", "a/oci-layout", "ingest", "../a", "A", ""]
        {
            assert!(check_name(name).is_err(), "{name}");
        }
        for name in ["a", "a/b", "blobs-of/a", "a/index.json.d"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
    }

    #[cfg(feature = "serve")]
    #[test]
    fn derives_names_from_files() {
        for (path, name) in [
            ("/x/layout.tar", "layout"),
            ("/x/My App_1.2.tar", "my-app-1.2"),
            ("/x/.hidden", "hidden"),
            ("/x/..--..", "layout"),
            ("/", "layout"),
        ] {
            assert_eq!(name_of(Path::new(path)), name, "{path}");
        }
    }
}
