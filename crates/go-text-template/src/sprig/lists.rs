//! Functions for lists, such as `first`, `append` and `has`.

use crate::eval::call::Call;
use crate::eval::function::Type::{Any, Int};
use crate::eval::function::{Answer, Function, NIL_POINTER, function};
use crate::limits::{MAX_LIST, too_many};
use crate::sprig::deep_equal::equal;
use crate::sprig::math::to_int64;
use crate::values::value::{Element, List, Value};

pub(crate) const FUNCTIONS: &[Function] = &[
    function("list", &[], list).variadic(Any).also(&["tuple"]),
    function("append", &[Any, Any], push).also(&["push", "mustAppend", "mustPush"]),
    function("prepend", &[Any, Any], prepend).also(&["mustPrepend"]),
    function("first", &[Any], first).returns_any().also(&["mustFirst"]),
    function("last", &[Any], last).returns_any().also(&["mustLast"]),
    function("rest", &[Any], rest).also(&["mustRest"]),
    function("initial", &[Any], initial).also(&["mustInitial"]),
    function("reverse", &[Any], reverse).also(&["mustReverse"]),
    function("compact", &[Any], compact).also(&["mustCompact"]),
    function("uniq", &[Any], uniq).also(&["mustUniq"]),
    function("without", &[Any], without).variadic(Any).also(&["mustWithout"]),
    function("has", &[Any, Any], has).also(&["mustHas"]),
    function("slice", &[Any], slice).variadic(Any).returns_any().also(&["mustSlice"]),
    function("concat", &[], concat).variadic(Any).returns_any(),
    function("chunk", &[Int, Any], chunk).also(&["mustChunk"]),
];

fn of_any(items: Vec<Value>) -> Answer {
    if items.len() > MAX_LIST {
        return Err(too_many());
    }
    Ok(Value::List(List::new(items)))
}

fn as_list<'v>(value: &'v Value, action: &str) -> Result<&'v List, String> {
    match value {
        Value::List(list) => Ok(list),
        // Sprig reads the type of the argument, which panics in Go for nil.
        Value::Nil => Err(NIL_POINTER.to_owned()),
        other => Err(format!("Cannot {action} type {}", other.kind_name())),
    }
}

/// Returns the elements of the first argument.
fn items<'c>(call: &'c Call<'_>, action: &str) -> Result<&'c [Value], String> {
    as_list(call.any(0), action).map(List::items)
}

fn list(call: &Call<'_>) -> Answer {
    of_any(call.rest(0).cloned().collect())
}

fn push(call: &Call<'_>) -> Answer {
    let items = items(call, "push on")?;
    of_any(items.iter().chain([call.any(1)]).cloned().collect())
}

fn prepend(call: &Call<'_>) -> Answer {
    let items = items(call, "prepend on")?;
    of_any([call.any(1)].into_iter().chain(items).cloned().collect())
}

fn first(call: &Call<'_>) -> Answer {
    Ok(items(call, "find first on")?.first().cloned().unwrap_or_default())
}

fn last(call: &Call<'_>) -> Answer {
    Ok(items(call, "find last on")?.last().cloned().unwrap_or_default())
}

fn rest(call: &Call<'_>) -> Answer {
    match items(call, "find rest on")? {
        [] => Ok(Value::List(List::nil(Element::Any))),
        [_, rest @ ..] => of_any(rest.to_vec()),
    }
}

fn initial(call: &Call<'_>) -> Answer {
    match items(call, "find initial on")? {
        [] => Ok(Value::List(List::nil(Element::Any))),
        [initial @ .., _] => of_any(initial.to_vec()),
    }
}

fn reverse(call: &Call<'_>) -> Answer {
    of_any(items(call, "find reverse on")?.iter().rev().cloned().collect())
}

fn compact(call: &Call<'_>) -> Answer {
    of_any(items(call, "compact on")?.iter().filter(|item| item.is_true()).cloned().collect())
}

fn is_in(items: &[Value], value: &Value) -> Result<bool, String> {
    for item in items {
        if equal(value, item)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn uniq(call: &Call<'_>) -> Answer {
    let mut kept = Vec::new();
    for item in items(call, "find uniq on")? {
        if !is_in(&kept, item)? {
            kept.push(item.clone());
        }
    }
    of_any(kept)
}

fn without(call: &Call<'_>) -> Answer {
    // The comparison is linear, because values have no order and no hash.
    let omitted: Vec<Value> = call.rest(1).cloned().collect();
    let mut kept = Vec::new();
    for item in items(call, "find without on")? {
        if !is_in(&omitted, item)? {
            kept.push(item.clone());
        }
    }
    of_any(kept)
}

fn has(call: &Call<'_>) -> Answer {
    match call.any(1) {
        Value::Nil => Ok(Value::Bool(false)),
        haystack => {
            let list = as_list(haystack, "find has on")?;
            is_in(list.items(), call.any(0)).map(Value::Bool)
        }
    }
}

fn slice(call: &Call<'_>) -> Answer {
    let list = match call.any(0) {
        Value::List(list) => list,
        Value::Nil => return Err(NIL_POINTER.to_owned()),
        other => return Err(format!("list should be type of slice or array but {}", other.kind_name())),
    };
    // Sprig returns nil for an empty list, whatever the bounds are.
    if list.items().is_empty() {
        return Ok(Value::Nil);
    }
    let start = if call.len() > 1 { to_int64(call.any(1)) } else { 0 };
    let end = if call.len() > 2 { to_int64(call.any(2)) } else { list.items().len() as i64 };
    let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
    let part = range.and_then(|(start, end)| list.items().get(start..end));
    let part = part.ok_or("reflect.Value.Slice: slice index out of bounds")?;
    Ok(Value::List(List::typed(list.element(), part.to_vec())))
}

fn concat(call: &Call<'_>) -> Answer {
    let mut all = Vec::new();
    for value in call.rest(0) {
        match value {
            Value::List(list) => all.extend_from_slice(list.items()),
            Value::Nil => return Err(NIL_POINTER.to_owned()),
            other => return Err(format!("Cannot concat type {} as list", other.kind_name())),
        }
        if all.len() > MAX_LIST {
            return Err(too_many());
        }
    }
    // Sprig starts with a nil slice, which JSON shows as `null`.
    if all.is_empty() {
        return Ok(Value::List(List::nil(Element::Any)));
    }
    of_any(all)
}

fn chunk(call: &Call<'_>) -> Answer {
    let size = call.int(0);
    let items = as_list(call.any(1), "chunk")?.items();
    let bad = || "runtime error: makeslice: len out of range".to_owned();
    if size == 0 {
        return Err(bad());
    }
    // Sprig calculates the number of chunks in floating point, and a negative one makes Go panic.
    let count = ((items.len() as f64 - 1.0) / size as f64).floor() + 1.0;
    if count < 0.0 {
        return Err(bad());
    }
    let chunks = match usize::try_from(size) {
        Ok(size) if count > 0.0 => {
            items.chunks(size).map(|chunk| Value::List(List::new(chunk.to_vec()))).collect()
        }
        _ => Vec::new(),
    };
    Ok(Value::List(List::typed(Element::AnyList, chunks)))
}
