//! Text of a registry as people may see it: it says what it says, and does nothing to the terminal.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Whether a terminal takes the character for a command: a control, of both sets, or one that turns the order in which
/// the others are shown (Unicode, "Bidirectional Formatting Characters", without the three marks that only lean).
fn steers(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A name in one line: what steers is replaced.
pub(crate) fn name(text: &str) -> String {
    text.chars().map(|c| if steers(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// Text of any number of lines: what steers is written as JSON writes it, so that JSON stays the same JSON.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|c| steers(c) && c != '\n') {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        let ends_line = c == '\r' && characters.peek() == Some(&'\n');
        if steers(c) && !matches!(c, '\n' | '\t') && !ends_line {
            // Writing to a String cannot fail.
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
    fn nothing_steers() {
        let nasty = "a\u{1b}]8;;x\u{7}b\u{9b}2Jc\rd\u{8}e\u{202e}f\u{2066}g\u{7f}";
        assert_eq!(escaped(nasty), r"a\u001b]8;;x\u0007b\u009b2Jc\u000dd\u0008e\u202ef\u2066g\u007f");
        assert!(!name(nasty).chars().any(steers));
    }

    #[test]
    fn what_is_only_text_stays() {
        for text in ["", "two\nlines\n\tindented", "Windows\r\nlines\r\n", "日本語 é 🦀 שלום\u{200f}!"]
        {
            assert_eq!(escaped(text), text);
        }
        assert_eq!(name("日本語 é 🦀"), "日本語 é 🦀");
    }

    #[test]
    fn json_stays_the_same_json() {
        let document = serde_json::json!({"a\u{9b}": "b\u{202e}\u{1b}\u{7f}\n"});
        let text = document.to_string();
        assert_ne!(escaped(&text), text);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&escaped(&text)).unwrap(), document);
    }
}
