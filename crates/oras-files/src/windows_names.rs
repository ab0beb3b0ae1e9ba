//! Path parts that Windows reserves for devices and streams.

use std::path::{Component, Path};

use oras_store::{Error, ErrorKind, Result};

/// Rejects, on Windows, a path with a part that Windows does not treat as a file name. Other systems accept every part.
///
/// # Errors
/// [`ErrorKind::InvalidContent`] for such a part.
pub(crate) fn check_windows_names(path: &Path) -> Result<()> {
    if !cfg!(windows) {
        return Ok(());
    }
    for part in path.components() {
        if let Component::Normal(part) = part
            && let Some(part) = part.to_str()
            && let Some(why) = reserved_on_windows(part)
        {
            let message = format!("{part:?} is not the name of a file: {why}");
            return Err(Error::new(ErrorKind::InvalidContent, message));
        }
    }
    Ok(())
}

/// Returns why a part of a path is not a file name on Windows (learn.microsoft.com, "Naming Files, Paths, and
/// Namespaces"): a device name with any extension, a stream, a reserved character, or a trailing dot or space.
fn reserved_on_windows(part: &str) -> Option<&'static str> {
    if part.chars().any(|c| c < ' ' || "<>:\"|?*\\/".contains(c)) {
        return Some("it has a character that Windows reserves");
    }
    if part.ends_with(['.', ' ']) {
        return Some("Windows drops a dot or a space at the end");
    }
    // Windows ignores the extension of a device name: `NUL.txt` is the device `NUL`.
    let stem = part.split('.').next().unwrap_or_default().trim_end().to_uppercase();
    let numbered = |stem: &str| {
        let digit = stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT"));
        digit.is_some_and(|digit| {
            let mut digits = digit.chars();
            // Windows treats these superscript digits like the plain ones.
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
    fn rejects_names_that_windows_reserves() {
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
}
