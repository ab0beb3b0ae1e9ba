//! Functions for regular expressions.

use regex::bytes::{Match, Regex};

use crate::eval::call::Call;
use crate::eval::function::Type::{Int, Str};
use crate::eval::function::{Answer, Function, function};
use crate::limits::{MAX_LIST, too_many};
use crate::sprig::regex_translate;
use crate::strings::buffer::Buffer;
use crate::strings::quote::{can_backquote, quote};
use crate::values::value::{Element, List, Value};

pub(crate) const FUNCTIONS: &[Function] = &[
    function("regexMatch", &[Str, Str], |call| {
        Ok(Value::Bool(compile(call).is_ok_and(|regex| regex.is_match(call.str(1)))))
    }),
    function("mustRegexMatch", &[Str, Str], |call| Ok(Value::Bool(compile(call)?.is_match(call.str(1))))),
    function("regexFind", &[Str, Str], |call| Ok(find(&compile_or_panic_message(call)?, call))),
    function("mustRegexFind", &[Str, Str], |call| Ok(find(&compile(call)?, call))),
    function("regexFindAll", &[Str, Str, Int], |call| find_all(&compile_or_panic_message(call)?, call)),
    function("mustRegexFindAll", &[Str, Str, Int], |call| find_all(&compile(call)?, call)),
    function("regexReplaceAll", &[Str, Str, Str], |call| {
        replace(&compile_or_panic_message(call)?, call, false)
    }),
    function("mustRegexReplaceAll", &[Str, Str, Str], |call| replace(&compile(call)?, call, false)),
    function("regexReplaceAllLiteral", &[Str, Str, Str], |call| {
        replace(&compile_or_panic_message(call)?, call, true)
    }),
    function("mustRegexReplaceAllLiteral", &[Str, Str, Str], |call| replace(&compile(call)?, call, true)),
    function("regexSplit", &[Str, Str, Int], |call| split(&compile_or_panic_message(call)?, call)),
    function("mustRegexSplit", &[Str, Str, Int], |call| split(&compile(call)?, call)),
    function("regexQuoteMeta", &[Str], |call| Ok(Value::text(quote_meta(call.str(0))))),
];

/// The maximum size in bytes of a compiled expression.
// A short pattern with nested repetitions can compile to a program of any size.
const SIZE_LIMIT: usize = 16 << 20;

/// Compiles the first argument.
fn compile(call: &Call<'_>) -> Result<Regex, String> {
    let pattern = String::from_utf8_lossy(call.str(0));
    let failed = |problem: String| format!("error parsing regexp: {problem}");
    let translated = regex_translate::translate(&pattern).map_err(failed)?;
    let built = regex::bytes::RegexBuilder::new(&translated).size_limit(SIZE_LIMIT).build();
    built.map_err(|error| failed(format!("{}: `{pattern}`", summary(&error))))
}

/// Returns the last line of an error message. The earlier lines show the position of the error in the expression.
fn summary(error: &regex::Error) -> String {
    let text = error.to_string();
    text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

/// Compiles the first argument for a Go function that panics instead of returning an error.
fn compile_or_panic_message(call: &Call<'_>) -> Result<Regex, String> {
    compile(call).map_err(|error| {
        let pattern = call.str(0);
        let quoted = if can_backquote(pattern) {
            format!("`{}`", String::from_utf8_lossy(pattern))
        } else {
            quote(pattern)
        };
        format!("regexp: Compile({quoted}): {error}")
    })
}

fn find(regex: &Regex, call: &Call<'_>) -> Value {
    Value::text(regex.find(call.str(1)).map_or(&b""[..], |found| found.as_bytes()))
}

/// Returns false for an empty match between the bytes of a character.
fn is_whole(text: &[u8], found: &Match<'_>) -> bool {
    // The `regex` crate matches bytes here, but Go finds no match inside a character.
    !found.is_empty() || text.get(found.start()).is_none_or(|byte| byte & 0xc0 != 0x80)
}

fn matches<'t>(regex: &'t Regex, text: &'t [u8]) -> impl Iterator<Item = Match<'t>> {
    regex.find_iter(text).filter(|found| is_whole(text, found))
}

fn find_all(regex: &Regex, call: &Call<'_>) -> Answer {
    let limit = usize::try_from(call.int(2)).unwrap_or(usize::MAX);
    let found: Vec<Value> = matches(regex, call.str(1))
        // One element more than the limit is enough to report that there are too many.
        .take(limit.min(MAX_LIST + 1))
        .map(|found| Value::text(found.as_bytes()))
        .collect();
    if found.is_empty() {
        return Ok(Value::List(List::nil(Element::String)));
    }
    strings(found)
}

fn strings(items: Vec<Value>) -> Answer {
    if items.len() > MAX_LIST {
        return Err(too_many());
    }
    Ok(Value::List(List::typed(Element::String, items)))
}

fn replace(regex: &Regex, call: &Call<'_>, literal: bool) -> Answer {
    let (text, replacement) = (call.str(1), call.str(2));
    let mut out = Buffer::default();
    let mut copied = 0;
    for captures in regex.captures_iter(text) {
        if out.has_failed() {
            break;
        }
        let Some(whole) = captures.get(0).filter(|whole| is_whole(text, whole)) else {
            continue;
        };
        out.write(&text[copied..whole.start()]);
        copied = whole.end();
        if literal {
            out.write(replacement);
        } else {
            let mut expanded = Vec::new();
            captures.expand(replacement, &mut expanded);
            out.write(&expanded);
        }
    }
    out.write(&text[copied..]);
    out.finish().map(Value::text)
}

fn split(regex: &Regex, call: &Call<'_>) -> Answer {
    let (pattern, text, count) = (call.str(0), call.str(1), call.int(2));
    if count == 0 {
        return Ok(Value::List(List::nil(Element::String)));
    }
    // Go's `Regexp.Split` has this special case.
    if !pattern.is_empty() && text.is_empty() {
        return Ok(Value::strings([""]));
    }
    let limit = usize::try_from(count).unwrap_or(MAX_LIST + 1).min(MAX_LIST + 1);
    let mut parts = Vec::new();
    let (mut begin, mut end) = (0, 0);
    for found in matches(regex, text).take(limit) {
        if parts.len() + 1 == limit {
            break;
        }
        end = found.start();
        // An empty match at the start does not add an empty part, as in Go.
        if found.end() != 0 {
            parts.push(Value::text(&text[begin..end]));
        }
        begin = found.end();
    }
    if end != text.len() {
        parts.push(Value::text(&text[begin..]));
    }
    strings(parts)
}

fn quote_meta(text: &[u8]) -> Vec<u8> {
    let mut quoted = Vec::new();
    for &byte in text {
        if br"\.+*?()|[]{}^$".contains(&byte) {
            quoted.push(b'\\');
        }
        quoted.push(byte);
    }
    quoted
}
