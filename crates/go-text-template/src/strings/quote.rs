//! Writes and reads Go's string and character literals.

use crate::strings::unicode::{decode, is_print};

/// Returns a double-quoted Go string literal.
pub(crate) fn quote(bytes: &[u8]) -> String {
    quote_with(bytes, '"', false)
}

/// Returns a double-quoted Go string literal of ASCII characters.
pub(crate) fn quote_ascii(bytes: &[u8]) -> String {
    quote_with(bytes, '"', true)
}

/// Returns a single-quoted Go character literal.
pub(crate) fn quote_char(c: char, ascii: bool) -> String {
    quote_with(c.encode_utf8(&mut [0; 4]).as_bytes(), '\'', ascii)
}

fn quote_with(bytes: &[u8], mark: char, ascii: bool) -> String {
    let mut quoted = String::with_capacity(bytes.len() + 2);
    quoted.push(mark);
    let mut rest = bytes;
    while let Some(&first) = rest.first() {
        let (c, size) = decode(rest);
        // A byte that is not UTF-8 is escaped as a byte, a valid U+FFFD is not.
        if size == 1 && !first.is_ascii() {
            quoted.push_str(&format!("\\x{first:02x}"));
        } else {
            push_quoted(&mut quoted, c, mark, ascii);
        }
        rest = &rest[size..];
    }
    quoted.push(mark);
    quoted
}

/// The letters of escapes, and the characters for which they stand.
const ESCAPES: [(char, char); 7] =
    [('a', '\u{7}'), ('b', '\u{8}'), ('f', '\u{c}'), ('n', '\n'), ('r', '\r'), ('t', '\t'), ('v', '\u{b}')];

fn push_quoted(quoted: &mut String, c: char, mark: char, ascii: bool) {
    let code = u32::from(c);
    if c == '\\' || c == mark {
        quoted.extend(['\\', c]);
    } else if is_print(c) && (c.is_ascii() || !ascii) {
        quoted.push(c);
    } else if let Some((letter, _)) = ESCAPES.iter().find(|(_, escaped)| *escaped == c) {
        quoted.extend(['\\', *letter]);
    } else {
        quoted.push_str(&match code {
            0..0x80 => format!("\\x{code:02x}"),
            0x80..0x1_0000 => format!("\\u{code:04x}"),
            _ => format!("\\U{code:08x}"),
        });
    }
}

/// Returns true if a literal in back quotes can contain the text unchanged.
pub(crate) fn can_backquote(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| {
        text.chars().all(|c| c == '\t' || !(c < ' ' || matches!(c, '`' | '\u{7f}' | '\u{feff}')))
    })
}

/// Returns a character as `%#U` prints it: `U+0078 'x'`.
pub(crate) fn unicode_sharp(c: char) -> String {
    if is_print(c) { format!("U+{:04X} '{c}'", u32::from(c)) } else { format!("U+{:04X}", u32::from(c)) }
}

/// Reads a literal in double or back quotes. The error is always `invalid syntax`.
pub(crate) fn unquote(literal: &str) -> Result<Vec<u8>, &'static str> {
    let invalid = "invalid syntax";
    if let Some(raw) = literal.strip_prefix('`') {
        let raw = raw.strip_suffix('`').ok_or(invalid)?;
        // Go removes carriage returns from raw strings.
        return Ok(raw.bytes().filter(|&byte| byte != b'\r').collect());
    }
    let inner = literal.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).ok_or(invalid)?;
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while !rest.is_empty() {
        let (unit, tail) = unquote_char(rest, '"').ok_or(invalid)?;
        match unit {
            Unit::Byte(byte) => bytes.push(byte),
            Unit::Char(c) => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
        rest = tail;
    }
    Ok(bytes)
}

/// The value of a character or escape in a literal.
pub(crate) enum Unit {
    Byte(u8),
    Char(char),
}

/// Reads one character or escape of a literal in the quotes `mark`. Also returns the rest of the text.
pub(crate) fn unquote_char(text: &str, mark: char) -> Option<(Unit, &str)> {
    let mut chars = text.chars();
    let first = chars.next()?;
    if first == mark || first == '\n' {
        return None;
    }
    if first != '\\' {
        return Some((Unit::Char(first), chars.as_str()));
    }
    let escape = chars.next()?;
    let rest = chars.as_str();
    let c = match escape {
        '\\' => '\\',
        '\'' | '"' if escape == mark => mark,
        'x' => return digits(rest, 2, 16).map(|(code, rest)| (Unit::Byte(code as u8), rest)),
        // Surrogates are rejected by `char::from_u32`.
        'u' => return digits(rest, 4, 16).and_then(|(code, rest)| Some((to_char(code)?, rest))),
        'U' => return digits(rest, 8, 16).and_then(|(code, rest)| Some((to_char(code)?, rest))),
        '0'..='7' => {
            let (code, rest) = digits(&text[1..], 3, 8)?;
            return Some((Unit::Byte(u8::try_from(code).ok()?), rest));
        }
        _ => ESCAPES.iter().find(|(letter, _)| *letter == escape)?.1,
    };
    Some((Unit::Char(c), rest))
}

fn to_char(code: u32) -> Option<Unit> {
    char::from_u32(code).map(Unit::Char)
}

fn digits(text: &str, count: usize, radix: u32) -> Option<(u32, &str)> {
    let number = text.get(..count)?;
    // `from_str_radix` accepts a sign, Go does not.
    if !number.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    Some((u32::from_str_radix(number, radix).ok()?, &text[count..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_strings_and_characters() {
        assert_eq!(quote(b"a\"\n\x01\xff"), r#""a\"\n\x01\xff""#);
        assert_eq!(quote("é\u{200b}".as_bytes()), "\"é\\u200b\"");
        assert_eq!(quote_ascii("é😀".as_bytes()), r#""\u00e9\U0001f600""#);
        assert_eq!(quote_char('\'', false), r"'\''");
    }

    #[test]
    fn reads_literals() {
        assert_eq!(unquote(r#""a\tb\x41\101é\u00e9""#), Ok("a\tbAAéé".as_bytes().to_vec()));
        assert_eq!(unquote("`a\\n\r`"), Ok(b"a\\n".to_vec()));
        assert!(unquote(r#""\q""#).is_err());
        assert!(unquote(r#""\ud800""#).is_err());
        assert!(unquote(r#""\400""#).is_err());
    }
}
