//! What is in a directory: names, kinds, modes, content.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Files larger than this are told by their length and digest.
const SHOWN: u64 = 4096;

/// An entry for each path below `root`. An index of a layout is shown with its entries sorted, as the Go tool writes
/// them in any order.
pub(crate) fn of(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut next = vec![root.to_owned()];
    while let Some(directory) = next.pop() {
        let Ok(entries) = fs::read_dir(&directory) else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            let Ok(metadata) = path.symlink_metadata() else { continue };
            let name = path.strip_prefix(root).unwrap().display().to_string();
            let mode = metadata.mode() & 0o7777;
            if metadata.is_symlink() {
                found.insert(name, format!("link to {}", fs::read_link(&path).unwrap().display()));
            } else if metadata.is_dir() {
                found.insert(name, format!("directory {mode:o}"));
                next.push(path);
            } else {
                let content = fs::read(&path).unwrap_or_default();
                found.insert(name, format!("file {mode:o} {}", show(&path, &content)));
            }
        }
    }
    found
}

fn show(path: &Path, content: &[u8]) -> String {
    if path.file_name().is_some_and(|name| name == "index.json")
        && let Ok(mut index) = serde_json::from_slice::<serde_json::Value>(content)
        && let Some(entries) = index.get_mut("manifests").and_then(|entries| entries.as_array_mut())
    {
        entries.sort_by_key(ToString::to_string);
        return index.to_string();
    }
    match std::str::from_utf8(content) {
        Ok(text) if content.len() as u64 <= SHOWN => format!("{text:?}"),
        _ => format!("{} bytes {}", content.len(), oras_spec::Digest::sha256(content)),
    }
}
