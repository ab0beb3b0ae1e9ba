//! Names of repositories, and paths.

use std::path::Path;

use oras_spec::layout::{BLOBS_DIR, INDEX_FILE, MARKER_FILE};
use oras_spec::reference::check_repository;
use oras_store::{Error, Kind, Result};

/// What a layout has in its directory, with the `ingest` of the Go tool: no part of a repository's name.
pub(super) const RESERVED: [&str; 4] = [BLOBS_DIR, INDEX_FILE, MARKER_FILE, "ingest"];

/// Refuses a name with a part that a layout needs for itself, as one repository may be below another.
pub(super) fn check(name: &str) -> Result<()> {
    let invalid = check_repository(name).is_err() || name.split('/').any(|part| RESERVED.contains(&part));
    if invalid {
        return Err(Error::new(Kind::InvalidInput, format!("no repository can be named {name:?}")));
    }
    Ok(())
}

/// A name for the layout at `path`: its file name without `.tar`, in the characters that names may have.
pub(super) fn named_after(path: &Path) -> String {
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
    fn layouts_keep_their_own_files() {
        for name in
            ["blobs", "a/blobs", "a/blobs/b", "index.json/a", "a/oci-layout", "ingest", "../a", "A", ""]
        {
            assert!(check(name).is_err(), "{name}");
        }
        for name in ["a", "a/b", "blobs-of/a", "a/index.json.d"] {
            assert!(check(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn names_come_from_files() {
        for (path, name) in [
            ("/x/layout.tar", "layout"),
            ("/x/My App_1.2.tar", "my-app-1.2"),
            ("/x/.hidden", "hidden"),
            ("/x/..--..", "layout"),
            ("/", "layout"),
        ] {
            assert_eq!(named_after(Path::new(path)), name, "{path}");
        }
    }
}
