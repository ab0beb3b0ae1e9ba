//! Breaks text into lines of a width, as goutils does.

use crate::buffer::Buffer;
use crate::call::Type::{Int, Str};
use crate::call::{Function, function};
use crate::sprig::strings::find;
use crate::value::Value;

pub(crate) const FUNCTIONS: &[Function] = &[
    function("wrap", &[Int, Str], |call| wrap(call.str(1), call.int(0), b"", false).map(Value::text)),
    function("wrapWith", &[Int, Str, Str], |call| {
        wrap(call.str(2), call.int(0), call.str(1), true).map(Value::text)
    }),
];

/// Breaks at blanks; words that are too long are broken as well if `hard`.
fn wrap(text: &[u8], width: i64, newline: &[u8], hard: bool) -> Result<Vec<u8>, String> {
    let newline = if newline.is_empty() { b"\n" } else { newline };
    let width = usize::try_from(width).unwrap_or(1).max(1);
    let mut out = Buffer::default();
    let mut rest = text;
    while rest.len() > width {
        if rest[0] == b' ' {
            rest = &rest[1..];
            continue;
        }
        let blank = rest[..=width].iter().rposition(|&byte| byte == b' ');
        let (end, next) = match blank {
            Some(blank) => (blank, blank + 1),
            None if hard => (width, width),
            None => match find(&rest[width..], b" ") {
                Some(blank) => (width + blank, width + blank + 1),
                None => break,
            },
        };
        out.write(&rest[..end]);
        out.write(newline);
        rest = &rest[next..];
    }
    out.write(rest);
    out.finish()
}
