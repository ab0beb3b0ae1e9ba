//! `html`, `js` and `urlquery`, which escape text.

use crate::eval::call::Call;
use crate::eval::function::{Answer, Function, Type::Any, function};
use crate::print::printer::sprint;
use crate::strings::buffer::Buffer;
use crate::strings::unicode::{decode, is_print};
use crate::values::value::Value;

pub(crate) const FUNCTIONS: &[Function] = &[
    function("html", &[], |call| escaped(call, html)).variadic(Any),
    function("js", &[], |call| escaped(call, js)).variadic(Any),
    function("urlquery", &[], |call| escaped(call, urlquery)).variadic(Any),
];

fn escaped(call: &Call<'_>, escape: fn(&[u8], &mut Buffer)) -> Answer {
    // Go's `evalArgs` prints nil in the same way as an action does.
    let none = Value::from("<no value>");
    let printable = |value| if matches!(value, &Value::Nil) { &none } else { value };
    let text = sprint(call.rest(0).map(printable))?;
    let mut out = Buffer::default();
    escape(&text, &mut out);
    out.finish().map(Value::text)
}

fn html(text: &[u8], out: &mut Buffer) {
    for &byte in text {
        match byte {
            0 => out.push_char('\u{FFFD}'),
            // Go writes numeric references: they are shorter than `&quot;`, and HTML before version 5 has no `&apos;`.
            b'"' => out.push_str("&#34;"),
            b'\'' => out.push_str("&#39;"),
            b'&' => out.push_str("&amp;"),
            b'<' => out.push_str("&lt;"),
            b'>' => out.push_str("&gt;"),
            _ => out.push(byte),
        }
    }
}

fn js(text: &[u8], out: &mut Buffer) {
    let mut rest = text;
    while let Some(&first) = rest.first() {
        let (c, size) = decode(rest);
        match c {
            '\\' => out.push_str("\\\\"),
            '\'' => out.push_str("\\'"),
            '"' => out.push_str("\\\""),
            // Go escapes the special characters of HTML, too, because scripts are embedded in HTML.
            '<' | '>' | '&' | '=' | '\0'..='\u{1f}' => out.push_str(&format!("\\u{first:04X}")),
            c if c.is_ascii() || is_print(c) => out.write(&rest[..size]),
            c => out.push_str(&format!("\\u{:04X}", u32::from(c))),
        }
        rest = &rest[size..];
    }
}

fn urlquery(text: &[u8], out: &mut Buffer) {
    for &byte in text {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(byte),
            // A query encodes a space as `+`, like an HTML form.
            b' ' => out.push(b'+'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
}
