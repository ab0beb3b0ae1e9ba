//! Titles: the path of a file within an artifact.

use std::path::{Component, Path, PathBuf};

/// Returns the shortest equivalent path by its text alone: without `.`, `x/..`, double slashes or a trailing slash.
pub fn clean(path: &Path) -> PathBuf {
    let mut cleaned = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => match cleaned.components().next_back() {
                Some(Component::Normal(_)) => {
                    cleaned.pop();
                }
                // The parent of the root is the root.
                Some(Component::RootDir | Component::Prefix(_)) => {}
                _ => cleaned.push(".."),
            },
            other => cleaned.push(other),
        }
    }
    if cleaned.as_os_str().is_empty() { PathBuf::from(".") } else { cleaned }
}

/// Returns the title for the file at `path`: cleaned, with forward slashes.
pub fn title_of(path: &str) -> String {
    let cleaned = clean(Path::new(path)).to_string_lossy().into_owned();
    if std::path::MAIN_SEPARATOR == '/' { cleaned } else { cleaned.replace(std::path::MAIN_SEPARATOR, "/") }
}

/// Returns true if a relative path stays below its directory, by its text alone.
pub(crate) fn is_local(path: &Path) -> bool {
    !path.as_os_str().is_empty()
        && path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cleans_titles() {
        for (path, title) in [
            ("./d2/", "d2"),
            ("./d/../d", "d"),
            ("../x", "../x"),
            ("a//b/./c", "a/b/c"),
            ("/a/../../b", "/b"),
            (".", "."),
        ] {
            assert_eq!(title_of(path), title, "{path}");
        }
    }
}
