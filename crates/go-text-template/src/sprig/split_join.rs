//! Functions that split strings into lists and join lists to strings.

use std::collections::BTreeMap;

use crate::eval::call::Call;
use crate::eval::function::Type::{Any, Int, Str};
use crate::eval::function::{Answer, Function, function};
use crate::limits::{MAX_LIST, too_many};
use crate::print::printer::to_text;
use crate::sprig::strings::find;
use crate::strings::buffer::Buffer;
use crate::strings::text::Text;
use crate::strings::unicode::decode;
use crate::values::value::{Element, List, Map, Value};

pub(crate) const FUNCTIONS: &[Function] = &[
    function("split", &[Str, Str], |call| Ok(numbered(pieces(call.str(1), call.str(0), -1)?))),
    function("splitn", &[Str, Int, Str], |call| Ok(numbered(pieces(call.str(2), call.str(0), call.int(1))?))),
    function("splitList", &[Str, Str], |call| Ok(Value::strings(pieces(call.str(1), call.str(0), -1)?))),
    function("toStrings", &[Any], |call| strings(call.any(0)).map(Value::strings)),
    function("join", &[Str, Any], join),
    function("sortAlpha", &[Any], sort_alpha),
];

/// Splits a text into at most `limit` pieces. A negative limit means no limit.
pub(crate) fn pieces<'t>(text: &'t [u8], separator: &[u8], limit: i64) -> Result<Vec<&'t [u8]>, String> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut pieces = Vec::new();
    if limit == 0 {
        return Ok(pieces);
    }
    let mut rest = text;
    while pieces.len() + 1 < limit {
        let (end, next) = if separator.is_empty() {
            // An empty separator splits between all characters.
            let (_, size) = decode(rest);
            if size == rest.len() {
                break;
            }
            (size, size)
        } else {
            match find(rest, separator) {
                Some(at) => (at, at + separator.len()),
                None => break,
            }
        };
        pieces.push(&rest[..end]);
        rest = &rest[next..];
        if pieces.len() >= MAX_LIST {
            return Err(too_many());
        }
    }
    // The rest after the last separator is a piece, even if it is empty.
    if !(separator.is_empty() && rest.is_empty()) {
        pieces.push(rest);
    }
    Ok(pieces)
}

/// Returns a map with the pieces as the values of `_0`, `_1` and so on.
fn numbered(pieces: Vec<&[u8]>) -> Value {
    let numbered = pieces.into_iter().enumerate();
    let entries: BTreeMap<Text, Value> =
        numbered.map(|(index, piece)| (format!("_{index}").into(), Value::text(piece))).collect();
    Value::Map(Map::of_strings(entries))
}

/// Returns the elements of a list, without nil. Any other value is treated as a list of one element.
fn elements(value: &Value) -> impl Iterator<Item = &Value> {
    let items = if let Value::List(list) = value { list.items() } else { std::slice::from_ref(value) };
    items.iter().filter(|item| !matches!(item, Value::Nil))
}

/// Returns the texts of the elements.
fn strings(value: &Value) -> Result<Vec<Text>, String> {
    elements(value).map(to_text).collect()
}

fn join(call: &Call<'_>) -> Answer {
    let mut out = Buffer::default();
    for (index, item) in elements(call.any(1)).enumerate() {
        if index > 0 {
            out.write(call.str(0));
        }
        out.write(&to_text(item)?);
        if out.has_failed() {
            break;
        }
    }
    out.finish().map(Value::text)
}

fn sort_alpha(call: &Call<'_>) -> Answer {
    let mut sorted = match call.any(0) {
        list @ Value::List(_) => strings(list)?,
        other => vec![to_text(other)?],
    };
    sorted.sort();
    let items = sorted.into_iter().map(Value::text).collect();
    Ok(Value::List(List::typed(Element::String, items)))
}
