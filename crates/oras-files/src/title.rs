//! Titles: the path a file has in an artifact.

use std::path::{Component, Path, PathBuf};

use oras_store::{Error, Kind, Result};

/// The shortest path that means the same without looking at the disk: no `.`, no `x/..`, no double or final slash.
pub fn clean(path: &Path) -> PathBuf {
    let mut cleaned = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => match cleaned.components().next_back() {
                Some(Component::Normal(_)) => {
                    cleaned.pop();
                }
                Some(Component::RootDir | Component::Prefix(_)) => {}
                _ => cleaned.push(".."),
            },
            other => cleaned.push(other),
        }
    }
    if cleaned.as_os_str().is_empty() { PathBuf::from(".") } else { cleaned }
}

/// The title of a file named `path`: cleaned, with forward slashes.
pub fn title_of(path: &str) -> String {
    let cleaned = clean(Path::new(path)).to_string_lossy().into_owned();
    if std::path::MAIN_SEPARATOR == '/' { cleaned } else { cleaned.replace(std::path::MAIN_SEPARATOR, "/") }
}

/// Whether a path stays below the directory it is relative to, without looking at the disk.
pub(crate) fn is_local(path: &Path) -> bool {
    !path.as_os_str().is_empty()
        && path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

/// Refuses what Windows would take for something else than a name, on Windows; elsewhere these are ordinary names.
pub(crate) fn check_parts(path: &Path) -> Result<()> {
    if !cfg!(windows) {
        return Ok(());
    }
    let parts = path.components().filter_map(|part| match part {
        Component::Normal(part) => part.to_str(),
        _ => None,
    });
    match parts.clone().find_map(|part| Some((part, reserved_on_windows(part)?))) {
        None => Ok(()),
        Some((part, why)) => {
            Err(Error::new(Kind::InvalidContent, format!("{part:?} is not the name of a file: {why}")))
        }
    }
}

/// Why a part of a path is not the name of a file on Windows (learn.microsoft.com, "Naming Files, Paths, and
/// Namespaces"): devices whatever their extension, streams, characters that have a meaning, ends that are dropped.
fn reserved_on_windows(part: &str) -> Option<&'static str> {
    if part.chars().any(|c| c < ' ' || "<>:\"|?*\\/".contains(c)) {
        return Some("it has a character that Windows reserves");
    }
    if part.ends_with(['.', ' ']) {
        return Some("Windows drops a dot or a space at the end");
    }
    let stem = part.split('.').next().unwrap_or_default().trim_end().to_uppercase();
    let numbered = |stem: &str| {
        let digit = stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT"));
        digit.is_some_and(|digit| {
            let mut digits = digit.chars();
            digits.next().is_some_and(|c| c.is_ascii_digit() || "¹²³".contains(c)) && digits.next().is_none()
        })
    };
    let is_device = matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$");
    (is_device || numbered(&stem)).then_some("it is a device of Windows")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_windows_reserves() {
        for part in [
            "con",
            "NUL",
            "nul.txt",
            "Aux.tar.gz",
            "com1",
            "COM9.log",
            "lpt²",
            "CONIN$",
            "nul ",
            "nul .txt",
            "a:b",
            "a.txt:stream",
            "C:",
            "a\\b",
            "a?",
            "a*",
            "a<b",
            "a|b",
            "a\"b",
            "a\tb",
            "a.",
            "a ",
            "...",
            "\u{1}",
        ] {
            assert!(reserved_on_windows(part).is_some(), "{part:?}");
        }
        for part in
            ["console", "com", "com10", "nul-1", "a.nul", "aux_", "a b", ".hidden", "日本", "lpt", "xcom1"]
        {
            assert_eq!(reserved_on_windows(part), None, "{part:?}");
        }
    }

    #[test]
    fn titles_are_clean() {
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
