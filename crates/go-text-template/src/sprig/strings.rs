//! Functions for strings, such as `trunc`, `indent` and `quote`.

use crate::eval::call::Call;
use crate::eval::function::Type::{Any, Int, Str};
use crate::eval::function::{Answer, Function, function};
use crate::print::printer::{print_value, quoted, to_text};
use crate::strings::buffer::Buffer;
use crate::strings::unicode::{decode, is_space, trim};
use crate::values::value::Value;

pub(crate) const FUNCTIONS: &[Function] = &[
    function("hello", &[], |_| Ok(Value::from("Hello!"))),
    function("abbrev", &[Int, Str], |call| Ok(abbreviate(call.str(1), 0, call.int(0)))),
    function("abbrevboth", &[Int, Int, Str], abbrevboth),
    function("trunc", &[Int, Str], trunc),
    function("trim", &[Str], |call| Ok(Value::text(trim(call.str(0), is_space)))),
    function("trimAll", &[Str, Str], trim_all).also(&["trimall"]),
    function("trimSuffix", &[Str, Str], |call| {
        let (suffix, text) = (call.str(0), call.str(1));
        Ok(Value::text(text.strip_suffix(suffix).unwrap_or(text)))
    }),
    function("trimPrefix", &[Str, Str], |call| {
        let (prefix, text) = (call.str(0), call.str(1));
        Ok(Value::text(text.strip_prefix(prefix).unwrap_or(text)))
    }),
    function("substr", &[Int, Int, Str], substr),
    function("repeat", &[Int, Str], |call| repeat(call.str(1), call.int(0)).map(Value::text)),
    function("nospace", &[Str], nospace),
    function("initials", &[Str], initials),
    function("contains", &[Str, Str], |call| Ok(Value::Bool(find(call.str(1), call.str(0)).is_some()))),
    function("hasPrefix", &[Str, Str], |call| Ok(Value::Bool(call.str(1).starts_with(call.str(0))))),
    function("hasSuffix", &[Str, Str], |call| Ok(Value::Bool(call.str(1).ends_with(call.str(0))))),
    function("quote", &[], |call| joined(call, |value| quoted(value).map(String::into_bytes))).variadic(Any),
    function("squote", &[], |call| joined(call, squote)).variadic(Any),
    function("cat", &[], |call| joined(call, print_value)).variadic(Any),
    function("indent", &[Int, Str], |call| indent(call, "")),
    function("nindent", &[Int, Str], |call| indent(call, "\n")),
    function("replace", &[Str, Str, Str], |call| {
        replace(call.str(2), call.str(0), call.str(1)).map(Value::text)
    }),
    function("plural", &[Str, Str, Int], |call| {
        Ok(Value::String(call.text(if call.int(2) == 1 { 0 } else { 1 })))
    }),
    function("toString", &[Any], |call| to_text(call.any(0)).map(Value::text)),
];

/// Returns the offset of the first occurrence of `part` in `text`.
pub(crate) fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    if part.is_empty() {
        return Some(0);
    }
    memchr::memmem::find(text, part)
}

/// Shortens a text to `width` bytes. Also cuts off the text before `offset` if `offset` is greater than four.
fn abbreviate(text: &[u8], offset: i64, width: i64) -> Value {
    let dots = b"...";
    let (length, mut offset) = (text.len() as i64, offset.min(text.len() as i64));
    if width < 4 || length <= width {
        return Value::text(text);
    }
    if length - offset < width - 3 {
        offset = length - (width - 3);
    }
    let cut = |from: i64, to: i64| &text[from.clamp(0, length) as usize..to.clamp(0, length) as usize];
    // A beginning of up to four bytes is kept, because dots would save at most one byte.
    if offset <= 4 {
        return Value::text([cut(0, width - 3), dots].concat());
    }
    if width < 7 {
        return Value::from("");
    }
    if offset + width - 3 < length {
        let Value::String(rest) = abbreviate(cut(offset, length), 0, width - 3) else {
            return Value::from("");
        };
        // A width below 4 leaves no room for text.
        let rest = if width - 3 < 4 { &b""[..] } else { &rest[..] };
        return Value::text([dots, rest].concat());
    }
    Value::text([dots, cut(length - (width - 3), length)].concat())
}

fn abbrevboth(call: &Call<'_>) -> Answer {
    let (left, right, text) = (call.int(0), call.int(1), call.str(2));
    if right < 4 || (left > 0 && right < 7) {
        return Ok(Value::text(text));
    }
    Ok(abbreviate(text, left, right))
}

fn trunc(call: &Call<'_>) -> Answer {
    let (count, text) = (call.int(0), call.str(1));
    // Sprig counts bytes, so the result can end within a character.
    let size = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    Ok(Value::text(match size {
        size if size >= text.len() => text,
        size if count < 0 => &text[text.len() - size..],
        size => &text[..size],
    }))
}

fn trim_all(call: &Call<'_>) -> Answer {
    let set = String::from_utf8_lossy(call.str(0));
    Ok(Value::text(trim(call.str(1), |c| set.contains(c))))
}

fn substr(call: &Call<'_>) -> Answer {
    let (start, end, text) = (call.int(0), call.int(1), call.str(2));
    let length = text.len() as i64;
    let out = |range: String| Err(format!("runtime error: slice bounds out of range {range}"));
    // A negative start means 0. The end is then not limited to the length: Go panics if it is out of range.
    if start < 0 {
        return match usize::try_from(end) {
            Err(_) => out(format!("[:{end}]")),
            Ok(end) if end > text.len() => out(format!("[:{end}] with length {length}")),
            Ok(end) => Ok(Value::text(&text[..end])),
        };
    }
    let end = if end < 0 || end > length { length } else { end };
    if start > end {
        return out(format!("[{start}:{end}]"));
    }
    Ok(Value::text(&text[start as usize..end as usize]))
}

fn repeat(text: &[u8], count: i64) -> Result<Vec<u8>, String> {
    let count = usize::try_from(count).map_err(|_| "strings: negative Repeat count".to_owned())?;
    let mut out = Buffer::default();
    out.fill(text, count);
    out.finish()
}

/// Removes blanks. Go treats each byte as a character here, so text outside of ASCII is read as Latin-1 if the text
/// contains a blank.
fn nospace(call: &Call<'_>) -> Answer {
    let text = call.str(0);
    let kept: String = text.iter().map(|&byte| char::from(byte)).filter(|&c| !is_space(c)).collect();
    if kept.chars().count() == text.len() {
        return Ok(Value::text(text));
    }
    Ok(Value::from(kept))
}

/// Returns the first byte of every word. Go treats the byte as a character.
fn initials(call: &Call<'_>) -> Answer {
    let mut initials = String::new();
    let mut after_gap = true;
    for c in call.str(0).iter().map(|&byte| char::from(byte)) {
        if is_space(c) {
            after_gap = true;
        } else if std::mem::take(&mut after_gap) {
            initials.push(c);
        }
    }
    Ok(Value::from(initials))
}

fn squote(value: &Value) -> Result<Vec<u8>, String> {
    Ok([b"'", &print_value(value)?[..], b"'"].concat())
}

/// Joins the texts of all arguments except nil with blanks.
fn joined(call: &Call<'_>, show: fn(&Value) -> Result<Vec<u8>, String>) -> Answer {
    let mut out = Buffer::default();
    for (index, value) in call.rest(0).filter(|value| !matches!(value, Value::Nil)).enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        out.write(&show(value)?);
        if out.has_failed() {
            break;
        }
    }
    out.finish().map(Value::text)
}

fn indent(call: &Call<'_>, before: &str) -> Answer {
    let pad = repeat(b" ", call.int(0))?;
    let newline = [b"\n", &pad[..]].concat();
    let indented = replace(call.str(1), b"\n", &newline)?;
    let mut out = Buffer::default();
    out.push_str(before);
    out.write(&pad);
    out.write(&indented);
    out.finish().map(Value::text)
}

/// Replaces every occurrence. An empty text occurs before every character and at the end.
pub(crate) fn replace(text: &[u8], old: &[u8], new: &[u8]) -> Result<Vec<u8>, String> {
    let mut out = Buffer::default();
    let mut rest = text;
    if old.is_empty() {
        while !rest.is_empty() {
            out.write(new);
            let (_, size) = decode(rest);
            out.write(&rest[..size]);
            rest = &rest[size..];
        }
        out.write(new);
        return out.finish();
    }
    let finder = memchr::memmem::Finder::new(old);
    while let Some(at) = finder.find(rest) {
        out.write(&rest[..at]);
        out.write(new);
        rest = &rest[at + old.len()..];
    }
    out.write(rest);
    out.finish()
}
