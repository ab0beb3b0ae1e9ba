//! `toJson`, `fromJson` and their variants: JSON in the form of Go's `encoding/json`.

use crate::datetime::format::to_rfc3339;
use crate::eval::function::Type::{Any, Str};
use crate::eval::function::{Answer, Function, function};
use crate::limits::check_nesting;
use crate::print::float::format_float;
use crate::sprig::json_decode::decode;
use crate::strings::buffer::Buffer;
use crate::strings::unicode;
use crate::values::value::Value;

pub(crate) const FUNCTIONS: &[Function] = &[
    function("toJson", &[Any], |call| lenient(encode(call.any(0), PLAIN))),
    function("mustToJson", &[Any], |call| strict(encode(call.any(0), PLAIN))),
    function("toPrettyJson", &[Any], |call| lenient(encode(call.any(0), PRETTY))),
    function("mustToPrettyJson", &[Any], |call| strict(encode(call.any(0), PRETTY))),
    function("toRawJson", &[Any], |call| strict(encode(call.any(0), RAW))).also(&["mustToRawJson"]),
    function("fromJson", &[Str], |call| Ok(decode(call.str(0)).unwrap_or_default())).returns_any(),
    function("mustFromJson", &[Str], |call| decode(call.str(0))).returns_any(),
];

#[derive(Clone, Copy)]
struct JsonStyle {
    /// Whether `<`, `>` and `&` are escaped.
    escapes_html: bool,
    is_pretty: bool,
}

const PLAIN: JsonStyle = JsonStyle { escapes_html: true, is_pretty: false };
const PRETTY: JsonStyle = JsonStyle { escapes_html: true, is_pretty: true };
const RAW: JsonStyle = JsonStyle { escapes_html: false, is_pretty: false };

/// An error of encoding a value.
enum EncodeError {
    /// Go has no JSON for the value, either.
    Unsupported(String),
    /// The result exceeds a limit of this crate.
    Limit(String),
}

/// Returns an empty string if Go has no JSON for the value, as sprig does.
fn lenient(encoded: Result<Vec<u8>, EncodeError>) -> Answer {
    match encoded {
        Err(EncodeError::Unsupported(_)) => Ok(Value::from("")),
        other => strict(other),
    }
}

fn strict(encoded: Result<Vec<u8>, EncodeError>) -> Answer {
    encoded.map(Value::text).map_err(|(EncodeError::Unsupported(error) | EncodeError::Limit(error))| error)
}

fn encode(value: &Value, style: JsonStyle) -> Result<Vec<u8>, EncodeError> {
    let mut encoder = Encoder { out: Buffer::default(), style };
    encoder.value(value, 0)?;
    encoder.out.finish().map_err(EncodeError::Limit)
}

struct Encoder {
    out: Buffer,
    style: JsonStyle,
}

impl Encoder {
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), EncodeError> {
        check_nesting(depth).map_err(EncodeError::Limit)?;
        // The buffer reports its failure at the end, so the remaining values are skipped.
        if self.out.has_failed() {
            return Ok(());
        }
        match value {
            Value::Nil => self.out.push_str("null"),
            Value::Bool(truth) => self.out.push_str(if *truth { "true" } else { "false" }),
            Value::Int(number) => self.out.push_str(&number.to_string()),
            Value::Integer(integer) if integer.kind.is_unsigned() => {
                self.out.push_str(&(integer.bits as u64).to_string());
            }
            Value::Integer(integer) => self.out.push_str(&integer.bits.to_string()),
            Value::Float(number) => self.float(*number)?,
            Value::String(text) => self.string(text),
            Value::List(list) if list.is_nil() => self.out.push_str("null"),
            Value::List(list) => {
                let count = list.items().len();
                self.out.push(b'[');
                for (index, item) in list.items().iter().enumerate() {
                    self.separator(index, depth + 1);
                    self.value(item, depth + 1)?;
                }
                self.close(count, depth, b']');
            }
            Value::Map(map) => {
                let entries = map.entries();
                self.out.push(b'{');
                for (index, (key, value)) in entries.iter().enumerate() {
                    self.separator(index, depth + 1);
                    self.string(key);
                    self.out.push_str(if self.style.is_pretty { ": " } else { ":" });
                    self.value(value, depth + 1)?;
                }
                self.close(entries.len(), depth, b'}');
            }
            Value::Time(time) => self.out.push_str(&format!("\"{}\"", to_rfc3339(time))),
            Value::Version(version) => self.string(version.to_string().as_bytes()),
        }
        Ok(())
    }

    fn separator(&mut self, index: usize, depth: usize) {
        if index > 0 {
            self.out.push(b',');
        }
        self.newline(depth);
    }

    fn close(&mut self, count: usize, depth: usize, bracket: u8) {
        if count > 0 {
            self.newline(depth);
        }
        self.out.push(bracket);
    }

    fn newline(&mut self, depth: usize) {
        if self.style.is_pretty {
            self.out.push(b'\n');
            self.out.fill(b"  ", depth);
        }
    }

    fn float(&mut self, number: f64) -> Result<(), EncodeError> {
        if !number.is_finite() {
            let shown = format_float(number, 'g', None);
            return Err(EncodeError::Unsupported(format!("json: unsupported value: {shown}")));
        }
        // These are the bounds of `encoding/json`, which follow ECMAScript.
        let magnitude = number.abs();
        let exponential = magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude);
        let text = format_float(number, if exponential { 'e' } else { 'f' }, None);
        // Go writes exponents in JSON as JavaScript does: `e-9`, not `e-09`.
        self.out.push_str(&text.replace("e-0", "e-"));
        Ok(())
    }

    fn string(&mut self, text: &[u8]) {
        self.out.push(b'"');
        // Runs of characters without escapes are written at once.
        let is_plain = |byte: &&u8| (b' '..=b'~').contains(byte) && !b"\"\\<>&".contains(byte);
        let mut rest = text;
        loop {
            let plain = rest.iter().take_while(is_plain).count();
            self.out.write(&rest[..plain]);
            rest = &rest[plain..];
            let Some(&first) = rest.first() else {
                break;
            };
            let (c, size) = unicode::decode(rest);
            match c {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\u{8}' => self.out.push_str("\\b"),
                '\u{c}' => self.out.push_str("\\f"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '<' | '>' | '&' if self.style.escapes_html => self.escape(c),
                // U+2028 and U+2029 end a line in JavaScript, so Go escapes them even where HTML is not escaped.
                '\0'..='\u{1f}' | '\u{2028}' | '\u{2029}' => self.escape(c),
                // A byte that is not UTF-8 is escaped. A valid U+FFFD is written unchanged.
                _ if size == 1 && !first.is_ascii() => self.out.push_str("\\ufffd"),
                _ => self.out.write(&rest[..size]),
            }
            rest = &rest[size..];
        }
        self.out.push(b'"');
    }

    fn escape(&mut self, c: char) {
        self.out.push_str(&format!("\\u{:04x}", u32::from(c)));
    }
}
