//! Makes text of a registry safe for a terminal: control characters are replaced or escaped.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Returns true if the character controls a terminal: a C0 or C1 control, or one that changes the order of the
/// characters (Unicode, "Bidirectional Formatting Characters"; the three implicit marks are harmless).
fn is_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Replaces the control characters in a name, so that it is shown on one line.
pub(crate) fn name(text: &str) -> String {
    text.chars().map(|c| if is_control(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// Replaces the C0 and C1 controls in text that is shown on any output.
pub(crate) fn without_controls(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// Escapes control characters as JSON does, so that a JSON document keeps its meaning. Keeps line breaks and tabs.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|c| is_control(c) && c != '\n') {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        let ends_line = c == '\r' && characters.peek() == Some(&'\n');
        if is_control(c) && !matches!(c, '\n' | '\t') && !ends_line {
            // Writing to a `String` cannot fail.
            let _ = write!(shown, "\\u{:04x}", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removes_control_characters() {
        let nasty = "a\u{1b}]8;;x\u{7}b\u{9b}2Jc\rd\u{8}e\u{202e}f\u{2066}g\u{7f}";
        assert_eq!(escaped(nasty), r"a\u001b]8;;x\u0007b\u009b2Jc\u000dd\u0008e\u202ef\u2066g\u007f");
        assert!(!name(nasty).chars().any(is_control));
    }

    #[test]
    fn keeps_plain_text() {
        for text in ["", "two\nlines\n\tindented", "Windows\r\nlines\r\n", "日本語 é 🦀 שלום\u{200f}!"]
        {
            assert_eq!(escaped(text), text);
        }
        assert_eq!(name("日本語 é 🦀"), "日本語 é 🦀");
    }

    #[test]
    fn keeps_the_meaning_of_json() {
        let document = serde_json::json!({"a\u{9b}": "b\u{202e}\u{1b}\u{7f}\n"});
        let text = document.to_string();
        assert_ne!(escaped(&text), text);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&escaped(&text)).unwrap(), document);
    }
}
