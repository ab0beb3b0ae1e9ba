//! Decodes JSON as Go's `encoding/json` does into `any`.
//!
//! The decoder is written by hand because templates contain Go's error messages, and because Go accepts strings that
//! are not UTF-8.

use std::collections::BTreeMap;

use crate::limits::check_nesting;
use crate::strings::quote::quote_char;
use crate::strings::text::Text;
use crate::strings::unicode;
use crate::values::value::{List, Map, Value};

/// Decodes a text of one value.
pub(crate) fn decode(text: &[u8]) -> Result<Value, String> {
    let mut decoder = Decoder { text, pos: 0 };
    let value = decoder.value(0)?;
    match decoder.next_token() {
        None => Ok(value),
        Some(_) => Err(decoder.invalid("after top-level value")),
    }
}

struct Decoder<'a> {
    text: &'a [u8],
    pos: usize,
}

impl Decoder<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.pos).copied()
    }

    /// Skips blanks and returns the next byte.
    fn next_token(&mut self) -> Option<u8> {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.pos += 1;
        }
        self.peek()
    }

    /// Returns the error about the current byte.
    fn invalid(&self, context: &str) -> String {
        match self.peek() {
            // Go's scanner reads a blank after the end, which some of its messages mention.
            None if context.starts_with("in ") && !context.starts_with("in string literal") => {
                format!("invalid character ' ' {context}")
            }
            None if context.starts_with("after decimal point") => format!("invalid character ' ' {context}"),
            None => "unexpected end of JSON input".to_owned(),
            Some(b'"') => format!("invalid character '\"' {context}"),
            Some(byte) => format!("invalid character {} {context}", quote_char(char::from(byte), false)),
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, String> {
        check_nesting(depth)?;
        match self.next_token() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string().map(Value::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal("true", Value::Bool(true)),
            Some(b'f') => self.literal("false", Value::Bool(false)),
            Some(b'n') => self.literal("null", Value::Nil),
            _ => Err(self.invalid("looking for beginning of value")),
        }
    }

    fn literal(&mut self, word: &str, value: Value) -> Result<Value, String> {
        for expected in word.bytes() {
            if self.peek() != Some(expected) {
                let expected = char::from(expected);
                return Err(self.invalid(&format!("in literal {word} (expecting '{expected}')")));
            }
            self.pos += 1;
        }
        Ok(value)
    }

    /// Reads a list or an object up to the bracket `close`. `message` describes an error after an item.
    fn items(
        &mut self,
        close: u8,
        message: &str,
        mut read_item: impl FnMut(&mut Self) -> Result<(), String>,
    ) -> Result<(), String> {
        self.pos += 1;
        let mut next = self.next_token();
        while next != Some(close) {
            read_item(self)?;
            next = self.next_token();
            match next {
                Some(b',') => self.pos += 1,
                Some(byte) if byte == close => {}
                _ => return Err(self.invalid(message)),
            }
        }
        self.pos += 1;
        Ok(())
    }

    fn array(&mut self, depth: usize) -> Result<Value, String> {
        let mut items = Vec::new();
        self.items(b']', "after array element", |decoder| {
            items.push(decoder.value(depth + 1)?);
            Ok(())
        })?;
        Ok(Value::List(List::new(items)))
    }

    fn object(&mut self, depth: usize) -> Result<Value, String> {
        let mut entries = BTreeMap::new();
        self.items(b'}', "after object key:value pair", |decoder| {
            if decoder.next_token() != Some(b'"') {
                return Err(decoder.invalid("looking for beginning of object key string"));
            }
            let key = decoder.string()?;
            if decoder.next_token() != Some(b':') {
                return Err(decoder.invalid("after object key"));
            }
            decoder.pos += 1;
            // The last of several equal keys is used, as in Go.
            entries.insert(key, decoder.value(depth + 1)?);
            Ok(())
        })?;
        Ok(Value::Map(Map::of_any(entries)))
    }

    fn digits(&mut self, context: &str) -> Result<(), String> {
        if !self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            return Err(self.invalid(context));
        }
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.pos += 1;
        }
        Ok(())
    }

    fn number(&mut self) -> Result<Value, String> {
        let start = self.pos;
        if self.peek() == Some(b'-') {
            self.pos += 1;
        }
        // A number has no leading zeros, so the digit after `0` is the next token and an error.
        if self.peek() == Some(b'0') {
            self.pos += 1;
        } else {
            self.digits("in numeric literal")?;
        }
        if self.peek() == Some(b'.') {
            self.pos += 1;
            self.digits("after decimal point in numeric literal")?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.pos += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.pos += 1;
            }
            self.digits("in exponent of numeric literal")?;
        }
        let text = String::from_utf8_lossy(&self.text[start..self.pos]);
        match text.parse::<f64>() {
            // Rust parses a number that is too large as infinity, Go reports it.
            Ok(number) if number.is_finite() => Ok(Value::Float(number)),
            _ => Err(format!("json: cannot unmarshal number {text} into Go value of type float64")),
        }
    }

    fn string(&mut self) -> Result<Text, String> {
        self.pos += 1;
        let mut out = String::new();
        loop {
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    self.pos += 1;
                    out.push(self.escape()?);
                }
                None | Some(0..=0x1f) => return Err(self.invalid("in string literal")),
                Some(_) => {
                    let (c, size) = unicode::decode(&self.text[self.pos..]);
                    out.push(c);
                    self.pos += size;
                }
            }
        }
        self.pos += 1;
        Ok(out.into())
    }

    fn escape(&mut self) -> Result<char, String> {
        let c = match self.peek() {
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'u') => return self.unicode_escape(),
            _ => return Err(self.invalid("in string escape code")),
        };
        self.pos += 1;
        Ok(c)
    }

    /// Reads `u` and four digits. A pair of surrogates is one character, and a single surrogate becomes U+FFFD.
    fn unicode_escape(&mut self) -> Result<char, String> {
        let high = self.hex_digits()?;
        let is_high = (0xd800..0xdc00).contains(&high);
        if is_high && self.text[self.pos..].starts_with(b"\\u") {
            // If no low surrogate follows, the second escape is read again as a separate character.
            let back = self.pos;
            self.pos += 1;
            let low = self.hex_digits()?;
            if (0xdc00..0xe000).contains(&low) {
                let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                return Ok(char::from_u32(code).unwrap_or(unicode::REPLACEMENT));
            }
            self.pos = back;
        }
        Ok(char::from_u32(high).unwrap_or(unicode::REPLACEMENT))
    }

    fn hex_digits(&mut self) -> Result<u32, String> {
        let mut code = 0;
        for _ in 0..4 {
            self.pos += 1;
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            code = code << 4 | digit.ok_or_else(|| self.invalid("in \\u hexadecimal character escape"))?;
        }
        self.pos += 1;
        Ok(code)
    }
}
