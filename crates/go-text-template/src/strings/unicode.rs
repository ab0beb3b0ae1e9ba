//! Characters as Go's `unicode` packages define them: categories, case mappings and lenient decoding.

use std::sync::LazyLock;

use regex_syntax::hir::{Class, Hir, HirKind};

/// The character that Go returns for a byte that is not UTF-8.
pub(crate) const REPLACEMENT: char = '\u{FFFD}';

/// The characters of a general category as sorted ranges. The functions below use them only for characters beyond
/// ASCII.
type Category = LazyLock<Vec<(char, char)>>;

static LETTER: Category = LazyLock::new(|| ranges(r"\p{L}"));
static DIGIT: Category = LazyLock::new(|| ranges(r"\p{Nd}"));
static NUMBER: Category = LazyLock::new(|| ranges(r"\p{N}"));
static UPPER: Category = LazyLock::new(|| ranges(r"\p{Lu}"));
static LOWER: Category = LazyLock::new(|| ranges(r"\p{Ll}"));
static TITLE: Category = LazyLock::new(|| ranges(r"\p{Lt}"));
static PUNCTUATION: Category = LazyLock::new(|| ranges(r"\p{P}"));
static PRINT: Category = LazyLock::new(|| ranges(r"[\p{L}\p{M}\p{N}\p{P}\p{S}]"));

/// Reads the ranges of a character class from the tables of the `regex` crate, because `char` has no test for the
/// general categories that Go tests.
fn ranges(class: &str) -> Vec<(char, char)> {
    match regex_syntax::parse(class).map(Hir::into_kind) {
        Ok(HirKind::Class(Class::Unicode(class))) => {
            class.iter().map(|range| (range.start(), range.end())).collect()
        }
        _ => Vec::new(),
    }
}

fn is_in(category: &Category, c: char) -> bool {
    // The ranges are sorted and do not overlap, so a binary search finds the only candidate.
    let next = category.partition_point(|&(start, _)| start <= c);
    next > 0 && c <= category[next - 1].1
}

pub(crate) fn is_letter(c: char) -> bool {
    // ASCII needs no table, and most templates contain nothing else.
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
    // In ASCII, `$+<=>^`|~` are symbols, not punctuation.
    if c.is_ascii() { c.is_ascii_punctuation() && !"$+<=>^`|~".contains(c) } else { is_in(&PUNCTUATION, c) }
}

/// Returns true if Go's quotes contain the character unescaped. The ASCII space is the only such blank.
pub(crate) fn is_print(c: char) -> bool {
    if c.is_ascii() { (' '..='~').contains(&c) } else { is_in(&PRINT, c) }
}

pub(crate) fn is_space(c: char) -> bool {
    match c {
        // Go's `unicode.IsSpace` lists these for Latin-1.
        '\t' | '\n' | '\u{b}' | '\u{c}' | '\r' | ' ' | '\u{85}' | '\u{a0}' => true,
        _ if c.is_ascii() => false,
        _ => c.is_whitespace(),
    }
}

/// Maps a character to upper case by the simple mapping, which returns one character, as Go does.
pub(crate) fn to_upper(c: char) -> char {
    let mut upper = c.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

/// Maps a character to title case, the form of an initial letter, by the simple mapping, as Go does.
pub(crate) fn to_title(c: char) -> char {
    // Title case differs from upper case only for four digraphs and for Georgian letters (UnicodeData.txt).
    match c {
        'Ǆ' | 'ǅ' | 'ǆ' => 'ǅ',
        'Ǉ' | 'ǈ' | 'ǉ' => 'ǈ',
        'Ǌ' | 'ǋ' | 'ǌ' => 'ǋ',
        'Ǳ' | 'ǲ' | 'ǳ' => 'ǲ',
        '\u{10d0}'..='\u{10fa}' | '\u{10fd}'..='\u{10ff}' => c,
        _ => to_upper(c),
    }
}

/// Maps a character to lower case by the simple mapping, which returns one character, as Go does.
pub(crate) fn to_lower(c: char) -> char {
    // Only U+0130 has a mapping to two characters, of which the first one is its simple mapping.
    c.to_lowercase().next().unwrap_or(c)
}

/// Decodes the first character. Returns it with its size in bytes.
///
/// For an invalid byte, returns [`REPLACEMENT`] and size 1. For an empty slice, returns size 0.
pub(crate) fn decode(bytes: &[u8]) -> (char, usize) {
    let Some(&first) = bytes.first() else {
        return (REPLACEMENT, 0);
    };
    // No character starts with 0xc0, 0xc1 or 0xf5 to 0xff. `from_utf8` checks the bytes after the first one.
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

/// Returns the characters of a Go string, as `range` does.
pub(crate) fn chars(bytes: &[u8]) -> impl Iterator<Item = char> + '_ {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (c, size) = decode(rest);
        rest = &rest[size..];
        (size > 0).then_some(c)
    })
}

/// Maps every character. Bytes that are not UTF-8 become U+FFFD.
pub(crate) fn map(bytes: &[u8], change: impl Fn(char) -> char) -> String {
    chars(bytes).map(change).collect()
}

/// Removes leading and trailing characters for which `strip` returns true.
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
    fn trims_start_and_end() {
        assert_eq!(trim(b"  a b ", is_space), b"a b");
        assert_eq!(trim(b"   ", is_space), b"");
    }
}
