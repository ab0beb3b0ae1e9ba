//! Characters as Go sees them: categories, simple case mappings, and decoding of bytes that may not be UTF-8.

use std::sync::LazyLock;

use regex::Regex;

/// What Go yields for a byte that is not UTF-8.
pub(crate) const REPLACEMENT: char = '\u{FFFD}';

/// A lazily compiled class, asked for characters beyond ASCII only.
type Class = LazyLock<Option<Regex>>;

static LETTER: Class = LazyLock::new(|| Regex::new(r"\p{L}").ok());
static DIGIT: Class = LazyLock::new(|| Regex::new(r"\p{Nd}").ok());
static NUMBER: Class = LazyLock::new(|| Regex::new(r"\p{N}").ok());
static UPPER: Class = LazyLock::new(|| Regex::new(r"\p{Lu}").ok());
static LOWER: Class = LazyLock::new(|| Regex::new(r"\p{Ll}").ok());
static TITLE: Class = LazyLock::new(|| Regex::new(r"\p{Lt}").ok());
static PUNCTUATION: Class = LazyLock::new(|| Regex::new(r"\p{P}").ok());
static PRINT: Class = LazyLock::new(|| Regex::new(r"[\p{L}\p{M}\p{N}\p{P}\p{S}]").ok());

fn is_in(class: &Class, c: char) -> bool {
    class.as_ref().is_some_and(|class| class.is_match(c.encode_utf8(&mut [0; 4])))
}

pub(crate) fn is_letter(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_alphabetic() } else { is_in(&LETTER, c) }
}

pub(crate) fn is_digit(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_digit() } else { is_in(&DIGIT, c) }
}

pub(crate) fn is_number(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_digit() } else { is_in(&NUMBER, c) }
}

pub(crate) fn is_upper(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_uppercase() } else { is_in(&UPPER, c) }
}

pub(crate) fn is_lower(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_lowercase() } else { is_in(&LOWER, c) }
}

pub(crate) fn is_title(c: char) -> bool {
    !c.is_ascii() && is_in(&TITLE, c)
}

pub(crate) fn is_punctuation(c: char) -> bool {
    // Of ASCII, `$+<=>^`|~` are symbols.
    if c.is_ascii() { c.is_ascii_punctuation() && !"$+<=>^`|~".contains(c) } else { is_in(&PUNCTUATION, c) }
}

/// Whether the character may stand unescaped in quotes: the space is the only blank that may.
pub(crate) fn is_print(c: char) -> bool {
    if c.is_ascii() { (' '..='~').contains(&c) } else { is_in(&PRINT, c) }
}

pub(crate) fn is_space(c: char) -> bool {
    match c {
        '\t' | '\n' | '\u{b}' | '\u{c}' | '\r' | ' ' | '\u{85}' | '\u{a0}' => true,
        _ if c.is_ascii() => false,
        _ => c.is_whitespace(),
    }
}

/// The simple mapping: one character for one, as Go does it.
pub(crate) fn to_upper(c: char) -> char {
    let mut upper = c.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

/// The simple mapping: one character for one, as Go does it.
pub(crate) fn to_lower(c: char) -> char {
    let mut lower = c.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(one), None) => one,
        // The only such letter is U+0130, whose simple mapping is `i`.
        (Some(one), Some(_)) => one,
        _ => c,
    }
}

/// The first character and how many bytes it takes; a bad byte is [`REPLACEMENT`] of size 1, no byte is size 0.
pub(crate) fn decode(bytes: &[u8]) -> (char, usize) {
    let Some(&first) = bytes.first() else {
        return (REPLACEMENT, 0);
    };
    let size = match first {
        0..=0x7f => return (char::from(first), 1),
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return (REPLACEMENT, 1),
    };
    let decoded = bytes.get(..size).and_then(|bytes| std::str::from_utf8(bytes).ok());
    decoded.and_then(|text| text.chars().next()).map_or((REPLACEMENT, 1), |c| (c, size))
}

/// The characters of a Go string, as `range` yields them.
pub(crate) fn chars(bytes: &[u8]) -> impl Iterator<Item = char> + '_ {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (c, size) = decode(rest);
        rest = &rest[size..];
        (size > 0).then_some(c)
    })
}

/// Maps every character; what is not UTF-8 becomes U+FFFD.
pub(crate) fn map(bytes: &[u8], change: impl Fn(char) -> char) -> String {
    chars(bytes).map(change).collect()
}

/// Without leading and trailing characters of a set.
pub(crate) fn trim(bytes: &[u8], strip: impl Fn(char) -> bool) -> &[u8] {
    let mut start = 0;
    let mut end = None;
    let mut at = 0;
    while at < bytes.len() {
        let (c, size) = decode(&bytes[at..]);
        if !strip(c) {
            end = Some(at + size);
        } else if end.is_none() {
            start = at + size;
        }
        at += size;
    }
    &bytes[start..end.unwrap_or(start)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_as_go_does() {
        assert_eq!(decode(b"a"), ('a', 1));
        assert_eq!(decode("é".as_bytes()), ('é', 2));
        assert_eq!(decode(b"\xc3"), (REPLACEMENT, 1));
        assert_eq!(decode(b"\xed\xa0\x80"), (REPLACEMENT, 1));
        assert_eq!(decode(b""), (REPLACEMENT, 0));
        assert_eq!(chars(b"a\xffb").collect::<String>(), "a\u{FFFD}b");
    }

    #[test]
    fn trims_both_ends() {
        assert_eq!(trim(b"  a b ", is_space), b"a b");
        assert_eq!(trim(b"   ", is_space), b"");
    }
}
