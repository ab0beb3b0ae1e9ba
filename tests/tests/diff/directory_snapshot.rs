//! Reads the state of a directory: names, types, modes, content.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Files larger than this are represented by their length and digest.
const SHOWN: u64 = 4096;

/// The file in which our tool records the size of its cache.
const CACHE_SIZE: &str = "cache-size";

/// Returns an entry for each path below `root`. Each entry of a layout's index is separate, because the Go
/// tool writes them in any order.
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
                next.push(path);
                // The Go tool leaves the directory in which it stages blobs. Our tool leaves a directory of
                // lock files.
                if entry.file_name() != "ingest" && !is_turns(&name) {
                    found.insert(name, format!("directory {mode:o}"));
                }
            } else if entry.file_name() != CACHE_SIZE {
                if Path::new(&name).parent().is_some_and(|parent| is_turns(&parent.display().to_string())) {
                    continue;
                }
                let content = fs::read(&path).unwrap_or_default();
                match index_entries(&path, &content) {
                    Some((document, entries)) => {
                        found.extend(
                            entries.into_iter().map(|entry| (format!("{name} {entry}"), String::new())),
                        );
                        found.insert(name, format!("file {mode:o} {document}"));
                    }
                    None => drop(found.insert(name, format!("file {mode:o} {}", show(&content)))),
                }
            }
        }
    }
    found
}

/// Returns true for the directory of the lock files that clients on one machine share.
fn is_turns(name: &str) -> bool {
    name.strip_prefix("tmp/oras-").is_some_and(|user| user.bytes().all(|digit| digit.is_ascii_digit()))
}

/// Returns the other fields of a layout's index, and its entries.
fn index_entries(path: &Path, content: &[u8]) -> Option<(String, Vec<String>)> {
    let is_index = path.file_name().is_some_and(|name| name == "index.json");
    let mut index: serde_json::Value = serde_json::from_slice(content).ok().filter(|_| is_index)?;
    let manifests = index.get_mut("manifests")?.as_array_mut()?;
    let entries = std::mem::take(manifests).iter().map(ToString::to_string).collect();
    Some((index.to_string(), entries))
}

fn show(content: &[u8]) -> String {
    match std::str::from_utf8(content) {
        Ok(text) if content.len() as u64 <= SHOWN => format!("{text:?}"),
        _ => format!("{} bytes {}", content.len(), oras_spec::Digest::sha256(content)),
    }
}
