//! Formats text for a page: truncates it, and escapes characters that change how other characters are shown.

use std::fmt::Write as _;

use jiff::Timestamp;
use oras_spec::Digest;

/// The maximum number of characters of a value.
pub(super) const VALUE: usize = 1000;
/// The maximum number of characters of a name or a type in a list.
pub(super) const LABEL: usize = 120;

/// Returns true for control characters, and for characters that change the order of other characters (Unicode,
/// "Bidirectional Formatting Characters").
fn is_formatting(c: char) -> bool {
    let turns =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || (c.is_control() && !matches!(c, '\n' | '\t'))
}

/// Returns the first `limit` characters of a text. Formatting characters are escaped as in JSON; `maud` escapes HTML
/// later.
pub(super) fn shown(text: &str, limit: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(limit) + 3);
    let mut characters = text.chars();
    for c in characters.by_ref().take(limit) {
        match is_formatting(c) {
            // Writing to a `String` can't fail.
            true => drop(write!(shown, "\\u{:04x}", u32::from(c))),
            false => shown.push(c),
        }
    }
    if characters.next().is_some() {
        shown.push('…');
    }
    shown
}

/// Formats a size, as in `1.5 KiB`.
pub(super) fn size(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return if bytes == 1 { "1 byte".to_owned() } else { format!("{bytes} bytes") };
    }
    // Counts in tenths of a unit. 1024.0 of one unit becomes 1.0 of the next.
    let (mut tenths, mut unit) = ((u128::from(bytes) * 10 + 512) / 1024, 0);
    while tenths >= 10_240 && unit + 1 < units.len() {
        tenths = (tenths + 512) / 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, units[unit])
}

/// Formats a number with separators, as in `1,234,567`.
pub(super) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// Formats a count with the noun `one` or `many`.
pub(super) fn count(of: usize, one: &str, many: &str) -> String {
    if of == 1 { format!("1 {one}") } else { format!("{} {many}", number(of as u64)) }
}

/// Formats a time in UTC to the minute.
pub(super) fn minute(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M").to_string()
}

/// Returns the beginning of a digest.
pub(super) fn short_digest(digest: &Digest) -> String {
    let (algorithm, encoded) = (digest.algorithm_name(), digest.encoded());
    format!("{}:{}…", shown(algorithm, LABEL), encoded.chars().take(12).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_formatting_characters_and_truncates() {
        assert_eq!(shown("a\u{202e}b\u{1b}[0m\u{200f}\n", 100), "a\\u202eb\\u001b[0m\\u200f\n");
        assert_eq!(shown("日本語 שלום", 100), "日本語 שלום");
        assert_eq!(shown("日本語", 2), "日本…");
        assert_eq!(shown("日本", 2), "日本");
    }

    #[test]
    fn formats_sizes_and_numbers() {
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
