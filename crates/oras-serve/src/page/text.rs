//! Text as it is shown: what it says, no more of it than a page can take, and nothing that disturbs what is around it.

use std::fmt::Write as _;

/// Characters of a value that is shown.
pub(super) const VALUE: usize = 1000;
/// Characters of a name or a type in a list.
pub(super) const LABEL: usize = 120;

/// Whether a character does something to others instead of being one: a control, or one that turns the order in which
/// they are shown (Unicode, "Bidirectional Formatting Characters").
fn steers(c: char) -> bool {
    let turns =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || (c.is_control() && !matches!(c, '\n' | '\t'))
}

/// The first `limit` characters of a text; what steers is written as JSON writes it. Escaping for HTML comes later.
pub(super) fn shown(text: &str, limit: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(limit) + 3);
    let mut characters = text.chars();
    for c in characters.by_ref().take(limit) {
        match steers(c) {
            // Writing to a String cannot fail.
            true => drop(write!(shown, "\\u{:04x}", u32::from(c))),
            false => shown.push(c),
        }
    }
    if characters.next().is_some() {
        shown.push('…');
    }
    shown
}

/// A size for people: `1.5 KiB`.
pub(super) fn size(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return if bytes == 1 { "1 byte".to_owned() } else { format!("{bytes} bytes") };
    }
    // Tenths of the unit below; what would be shown as 1024.0 is 1.0 of the next unit.
    let (mut tenths, mut unit) = ((u128::from(bytes) * 10 + 512) / 1024, 0);
    while tenths >= 10_240 && unit + 1 < units.len() {
        tenths = (tenths + 512) / 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, units[unit])
}

/// A number with its thousands apart: `1,234,567`.
pub(super) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut parts: Vec<&str> = Vec::new();
    let mut rest = digits.as_str();
    while rest.len() > 3 {
        let (front, last) = rest.split_at(rest.len() - 3);
        parts.push(last);
        rest = front;
    }
    parts.push(rest);
    parts.reverse();
    parts.join(",")
}

/// `one` or `many`, with the number before it.
pub(super) fn count(of: usize, one: &str, many: &str) -> String {
    if of == 1 { format!("1 {one}") } else { format!("{} {many}", number(of as u64)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers_and_nothing_is_long() {
        assert_eq!(shown("a\u{202e}b\u{1b}[0m\u{200f}\n", 100), "a\\u202eb\\u001b[0m\\u200f\n");
        assert_eq!(shown("日本語 שלום", 100), "日本語 שלום");
        assert_eq!(shown("日本語", 2), "日本…");
        assert_eq!(shown("日本", 2), "日本");
    }

    #[test]
    fn sizes() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1, "1 byte"),
            (1023, "1023 bytes"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (1_048_575, "1.0 MiB"),
            (5 << 30, "5.0 GiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(size(bytes), text, "{bytes}");
        }
        for (value, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(number(value), text);
        }
    }
}
