//! JSON as the Go tool writes it, and a reader that refuses what two parsers could read differently.

use std::fmt;
use std::io;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::ser::{CharEscape, CompactFormatter, Formatter, PrettyFormatter, Serializer};

/// Compact JSON, escaped as Go's `encoding/json` escapes: `<`, `>`, `&`, U+2028 and U+2029 become `\u003c` and
/// so on. Digests of manifests depend on it.
pub fn to_vec<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    write(value, &mut Serializer::with_formatter(&mut bytes, GoFormatter(CompactFormatter)));
    bytes
}

/// Like [`to_vec`], indented by two spaces, without a final newline.
pub fn to_vec_pretty<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    write(
        value,
        &mut Serializer::with_formatter(&mut bytes, GoFormatter(PrettyFormatter::with_indent(b"  "))),
    );
    bytes
}

/// What a text may grow by when it is indented, besides eight times its length.
const MAX_INDENTATION: usize = 64 << 20;

/// The JSON text `bytes` indented by two spaces, without a final newline: white space changes, and nothing else, as
/// with Go's `json.Indent`.
///
/// # Errors
/// Bytes that are not one value of JSON, or a text so deeply nested that its indentation would exceed 64 MiB and
/// eight times its own length: indentation grows with the square of the depth.
pub fn indent(bytes: &[u8]) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::from_slice::<de::IgnoredAny>(bytes)?;
    let mut out = Vec::with_capacity(bytes.len() * 2);
    let longest = bytes.len().saturating_mul(8).saturating_add(MAX_INDENTATION);
    let (mut depth, mut quoted, mut escaped, mut opened) = (0_usize, false, false, false);
    let line = |out: &mut Vec<u8>, depth: usize| {
        out.push(b'\n');
        out.resize(out.len() + 2 * depth, b' ');
    };
    for &byte in bytes {
        if out.len() > longest {
            return Err(de::Error::custom(format!(
                "nested too deeply to be indented: more than {longest} bytes"
            )));
        }
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
    Ok(out)
}

#[expect(clippy::expect_used, reason = "writing to a Vec cannot fail and our types have string keys only")]
fn write<T: Serialize + ?Sized, F: Formatter>(value: &T, serializer: &mut Serializer<&mut Vec<u8>, F>) {
    value.serialize(serializer).expect("plain data serialises into memory");
}

struct GoFormatter<F>(F);

macro_rules! forward {
    ($($name:ident($($argument:ident: $type:ty),*);)*) => {$(
        fn $name<W: io::Write + ?Sized>(&mut self, writer: &mut W $(, $argument: $type)*) -> io::Result<()> {
            self.0.$name(writer $(, $argument)*)
        }
    )*};
}

impl<F: Formatter> Formatter for GoFormatter<F> {
    forward! {
        begin_array();
        end_array();
        begin_array_value(first: bool);
        end_array_value();
        begin_object();
        end_object();
        begin_object_key(first: bool);
        begin_object_value();
        end_object_value();
    }

    fn write_string_fragment<W: io::Write + ?Sized>(&mut self, writer: &mut W, text: &str) -> io::Result<()> {
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

    fn write_char_escape<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        escape: CharEscape,
    ) -> io::Result<()> {
        self.0.write_char_escape(writer, escape)
    }
}

/// Reads `null` as the empty value: the Go tool writes and takes `"layers": null`.
pub(crate) fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// An object whose keys are all different, in itself and in everything below it, and which nests at most
/// 127 deep; an error otherwise (RFC 7493: "objects MUST NOT have members with duplicate names"). Two readers
/// of a document with duplicate keys can see two different documents under one digest.
pub fn check_strict(bytes: &[u8]) -> Result<(), serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    Strict.deserialize(&mut deserializer)?;
    deserializer.end()
}

struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without duplicate keys")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = std::collections::HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if seen.contains(&key) {
                return Err(de::Error::custom(format_args!("duplicate key {key:?}")));
            }
            seen.insert(key);
            map.next_value_seed(Strict)?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Strict)?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_like_go() {
        let text = "<a>&\u{2028}\u{2029}\"\\\u{8}\u{c}\n\r\t\u{1}\u{7f}é";
        let expected = r#""\u003ca\u003e\u0026\u2028\u2029\"\\\b\f\n\r\t\u0001"#.to_owned() + "\u{7f}é\"";
        assert_eq!(String::from_utf8(to_vec(text)).unwrap(), expected);
    }

    #[test]
    fn pretty_is_two_spaces_and_empty_stays_short() {
        let value = serde_json::json!({"a": [1, {}], "b": [], "c": "<"});
        let expected = "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": [],\n  \"c\": \"\\u003c\"\n}";
        assert_eq!(String::from_utf8(to_vec_pretty(&value)).unwrap(), expected);
    }

    #[test]
    fn indented_text_says_the_same() {
        let text = br#" {"a" :[1.50,{ }, [ ] ],"<\\\"{":"\u003c,:[\\"} "#;
        let expected =
            "{\n  \"a\": [\n    1.50,\n    {},\n    []\n  ],\n  \"<\\\\\\\"{\": \"\\u003c,:[\\\\\"\n}";
        assert_eq!(String::from_utf8(indent(text).unwrap()).unwrap(), expected);
        assert_eq!(indent(b"[[[1]]]").unwrap(), b"[\n  [\n    [\n      1\n    ]\n  ]\n]");
        assert!(indent(b"{").is_err() && indent(b"").is_err() && indent(b"{} {}").is_err());
    }

    #[test]
    fn duplicate_keys_and_depth_are_refused() {
        assert!(check_strict(br#"{"a":1,"b":{"a":[null,1.5,"x",true,-3]}}"#).is_ok());
        assert!(check_strict(br#"{"a":1,"a":1}"#).is_err());
        assert!(check_strict(br#"{"b":[{"a":1,"\u0061":1}]}"#).is_err());
        assert!(check_strict(br#"{} {}"#).is_err());
        assert!(check_strict("[".repeat(100_000).as_bytes()).is_err());
    }
}
