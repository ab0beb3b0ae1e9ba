//! `wrap` and `wrapWith`, which break text into lines as the Go package `goutils` does.

use crate::eval::function::Type::{Int, Str};
use crate::eval::function::{Function, function};
use crate::sprig::strings::find;
use crate::strings::buffer::Buffer;
use crate::values::value::Value;

pub(crate) const FUNCTIONS: &[Function] = &[
    function("wrap", &[Int, Str], |call| wrap(call.str(1), call.int(0), b"", false).map(Value::text)),
    function("wrapWith", &[Int, Str, Str], |call| {
        wrap(call.str(2), call.int(0), call.str(1), true).map(Value::text)
    }),
];

/// Breaks a text at blanks. Also breaks words that are longer than `width` if `breaks_words`.
fn wrap(text: &[u8], width: i64, newline: &[u8], breaks_words: bool) -> Result<Vec<u8>, String> {
    let newline = if newline.is_empty() { b"\n" } else { newline };
    let width = usize::try_from(width).unwrap_or(1).max(1);
    let mut out = Buffer::default();
    let mut rest = text;
    while rest.len() > width {
        // A line does not start with a blank.
        if rest[0] == b' ' {
            rest = &rest[1..];
            continue;
        }
        // A blank directly after the width ends the line, too, so the search includes one more byte.
        let blank = rest[..=width].iter().rposition(|&byte| byte == b' ');
        let (end, next) = match blank {
            Some(blank) => (blank, blank + 1),
            None if breaks_words => (width, width),
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
