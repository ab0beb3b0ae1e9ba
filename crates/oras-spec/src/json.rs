//! Writes JSON as the Go tool does, and checks JSON for duplicate keys.
//!
//! Use [`to_vec`] for own documents whose digest must be equal to that of a Go program, and [`check_strict`] before
//! trusting a document of another program.
//!
//! ```
//! use oras_spec::json;
//!
//! let document = serde_json::json!({"text": "<a>"});
//! assert_eq!(json::to_vec(&document), br#"{"text":"\u003ca\u003e"}"#);
//! assert!(json::check_strict(br#"{"a":1,"a":2}"#).is_err());
//! ```

use std::fmt;
use std::io;

use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::ser::{Formatter, Serializer};

/// Serializes a value as compact JSON with the escapes of Go's `encoding/json`.
///
/// `<`, `>`, `&`, U+2028 and U+2029 are written as `\u003c` and so on. Digests of manifests depend on these bytes.
#[expect(clippy::expect_used, reason = "writing to a Vec cannot fail and our types have string keys only")]
pub fn to_vec<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    let written = value.serialize(&mut Serializer::with_formatter(&mut bytes, GoFormatter));
    written.expect("plain data serialises into memory");
    bytes
}

/// Serializes a value as [`to_vec`] does, but indented by two spaces, without a final newline.
pub fn to_vec_pretty<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    // Without a limit the indentation always succeeds.
    indented(&to_vec(value), usize::MAX).unwrap_or_default()
}

/// The maximum number of bytes that indentation may add to eight times the length of a text.
const MAX_INDENTATION: usize = 64 << 20;

/// Indents the JSON text `bytes` by two spaces, without a final newline, as Go's `json.Indent` does.
///
/// Only white space changes.
///
/// # Errors
/// Fails if `bytes` are not one JSON value, or if the result is longer than 64 MiB plus eight times the length of
/// the text. The limit exists because indentation grows with the square of the depth.
pub fn indent(bytes: &[u8]) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::from_slice::<de::IgnoredAny>(bytes)?;
    let longest = bytes.len().saturating_mul(8).saturating_add(MAX_INDENTATION);
    let too_deep = || format!("nested too deeply to be indented: more than {longest} bytes");
    indented(bytes, longest).ok_or_else(|| de::Error::custom(too_deep()))
}

/// Indents valid JSON. Returns `None` if the result is longer than `longest` bytes.
fn indented(bytes: &[u8], longest: usize) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes.len() * 2);
    let (mut depth, mut quoted, mut escaped, mut opened) = (0_usize, false, false, false);
    let line = |out: &mut Vec<u8>, depth: usize| {
        out.push(b'\n');
        out.resize(out.len() + 2 * depth, b' ');
    };
    for &byte in bytes {
        if out.len() > longest {
            return None;
        }
        // Everything inside of a string is copied, escapes included.
        if quoted {
            out.push(byte);
            quoted = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
            continue;
        }
        if byte.is_ascii_whitespace() {
            continue;
        }
        let closes = matches!(byte, b'}' | b']');
        // An empty object or list stays on one line, so the line feed after a bracket waits for the next byte.
        if std::mem::take(&mut opened) && !closes {
            depth += 1;
            line(&mut out, depth);
        } else if closes && !matches!(out.last(), Some(b'{' | b'[')) {
            depth = depth.saturating_sub(1);
            line(&mut out, depth);
        }
        out.push(byte);
        match byte {
            b'"' => quoted = true,
            b'{' | b'[' => opened = true,
            b',' => line(&mut out, depth),
            b':' => out.push(b' '),
            _ => {}
        }
    }
    Some(out)
}

/// Writes strings with Go's escapes. The other methods of the trait write compact JSON.
struct GoFormatter;

impl Formatter for GoFormatter {
    fn write_string_fragment<W: io::Write + ?Sized>(&mut self, writer: &mut W, text: &str) -> io::Result<()> {
        // Text between two escapes is written at once.
        let mut start = 0;
        for (at, found) in text.char_indices() {
            let escaped = match found {
                '<' => "\\u003c",
                '>' => "\\u003e",
                '&' => "\\u0026",
                '\u{2028}' => "\\u2028",
                '\u{2029}' => "\\u2029",
                _ => continue,
            };
            writer.write_all(&text.as_bytes()[start..at])?;
            writer.write_all(escaped.as_bytes())?;
            start = at + found.len_utf8();
        }
        writer.write_all(&text.as_bytes()[start..])
    }
}

/// Deserializes `null` as the default value, because the Go tool writes and accepts `"layers": null`.
pub(crate) fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Checks that no object in the JSON text `bytes` has duplicate keys (RFC 7493: "objects MUST NOT have members with
/// duplicate names").
///
/// Two parsers can read different values from a document with duplicate keys, although it has one digest.
///
/// # Errors
/// Fails if the text is not one JSON value, has duplicate keys, or is nested more than 127 deep.
pub fn check_strict(bytes: &[u8]) -> Result<(), serde_json::Error> {
    serde_json::from_slice::<Strict>(bytes).map(drop)
}

/// A JSON value without duplicate keys.
struct Strict;

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // `serde_json` limits the depth of the document, so this recursion cannot overflow the stack.
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without duplicate keys")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        // Keys are compared after unescaping: `a` and `\u0061` are one key.
        let mut seen = std::collections::HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if let Some(key) = seen.replace(key) {
                return Err(de::Error::custom(format_args!("duplicate key {key:?}")));
            }
            map.next_value::<Self>()?;
        }
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self, A::Error> {
        while seq.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }
    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }
    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }
    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }
    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }
    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_as_go() {
        let text = "<a>&\u{2028}\u{2029}\"\\\u{8}\u{c}\n\r\t\u{1}\u{7f}é";
        let expected = r#""\u003ca\u003e\u0026\u2028\u2029\"\\\b\f\n\r\t\u0001"#.to_owned() + "\u{7f}é\"";
        assert_eq!(String::from_utf8(to_vec(text)).unwrap(), expected);
    }

    #[test]
    fn indents_by_two_spaces_except_in_empty_lists() {
        let value = serde_json::json!({"a": [1, {}], "b": [], "c": "<"});
        let expected = "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": [],\n  \"c\": \"\\u003c\"\n}";
        assert_eq!(String::from_utf8(to_vec_pretty(&value)).unwrap(), expected);
    }

    #[test]
    fn indent_changes_only_white_space() {
        let text = br#" {"a" :[1.50,{ }, [ ] ],"<\\\"{":"\u003c,:[\\"} "#;
        let expected =
            "{\n  \"a\": [\n    1.50,\n    {},\n    []\n  ],\n  \"<\\\\\\\"{\": \"\\u003c,:[\\\\\"\n}";
        assert_eq!(String::from_utf8(indent(text).unwrap()).unwrap(), expected);
        assert_eq!(indent(b"[[[1]]]").unwrap(), b"[\n  [\n    [\n      1\n    ]\n  ]\n]");
        assert!(indent(b"{").is_err() && indent(b"").is_err() && indent(b"{} {}").is_err());
    }

    #[test]
    fn rejects_duplicate_keys_and_deep_nesting() {
        assert!(check_strict(br#"{"a":1,"b":{"a":[null,1.5,"x",true,-3]}}"#).is_ok());
        assert!(check_strict(br#"{"a":1,"a":1}"#).is_err());
        assert!(check_strict(br#"{"b":[{"a":1,"\u0061":1}]}"#).is_err());
        assert!(check_strict(br#"{} {}"#).is_err());
        assert!(check_strict("[".repeat(100_000).as_bytes()).is_err());
    }
}
