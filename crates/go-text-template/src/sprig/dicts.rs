//! Functions for maps with string keys, such as `dict`, `get`, `dig` and `deepCopy`.

use std::collections::BTreeMap;

use crate::eval::call::Call;
use crate::eval::function::Type::{Any, Dict, Str};
use crate::eval::function::{Answer, Function, function};
use crate::limits::check_nesting;
use crate::print::printer::to_text;
use crate::values::value::{List, Map, Value};
use crate::values::version::Version;

pub(crate) const FUNCTIONS: &[Function] = &[
    function("dict", &[], dict).variadic(Any),
    function("get", &[Dict, Str], get).returns_any(),
    function("set", &[Dict, Str, Any], set),
    function("unset", &[Dict, Str], unset),
    function("hasKey", &[Dict, Str], |call| {
        Ok(Value::Bool(call.map(0).is_some_and(|map| map.get(call.str(1)).is_some())))
    }),
    function("pluck", &[Str], pluck).variadic(Dict),
    function("keys", &[], keys).variadic(Dict),
    function("values", &[Dict], values),
    function("pick", &[Dict], |call| Ok(filtered(call, true))).variadic(Str),
    function("omit", &[Dict], |call| Ok(filtered(call, false))).variadic(Str),
    function("deepCopy", &[Any], deep_copy).returns_any().also(&["mustDeepCopy"]),
    function("dig", &[], dig).variadic(Any).returns_any(),
];

fn dict(call: &Call<'_>) -> Answer {
    let map = Map::new();
    for index in (0..call.len()).step_by(2) {
        // The value of a key without a value is an empty string.
        let value = if index + 1 < call.len() { call.any(index + 1).clone() } else { Value::from("") };
        map.insert(to_text(call.any(index))?, value);
    }
    Ok(Value::Map(map))
}

fn get(call: &Call<'_>) -> Answer {
    // Sprig returns an empty string for a missing key.
    Ok(call.map(0).and_then(|map| map.get(call.str(1))).unwrap_or_else(|| Value::from("")))
}

fn set(call: &Call<'_>) -> Answer {
    // Go panics with this message, which the executor reports.
    let map = call.map(0).ok_or("assignment to entry in nil map")?;
    map.insert(call.text(1), call.any(2).clone());
    Ok(Value::Map(map.clone()))
}

fn unset(call: &Call<'_>) -> Answer {
    // In Go, deleting a key of a nil map is allowed and has no effect.
    let map = call.map(0).cloned().unwrap_or_default();
    map.remove(call.str(1));
    Ok(Value::Map(map))
}

fn maps<'c>(call: &'c Call<'_>, from: usize) -> impl Iterator<Item = &'c Map> {
    (from..call.len()).filter_map(|index| call.map(index))
}

fn pluck(call: &Call<'_>) -> Answer {
    Ok(maps(call, 1).filter_map(|map| map.get(call.str(0))).collect())
}

/// Returns the keys of all maps in order. Go's order is random.
fn keys(call: &Call<'_>) -> Answer {
    Ok(Value::strings(maps(call, 0).flat_map(Map::entries).map(|(key, _)| key)))
}

fn values(call: &Call<'_>) -> Answer {
    Ok(maps(call, 0).flat_map(Map::entries).map(|(_, value)| value).collect())
}

fn filtered(call: &Call<'_>, wanted: bool) -> Value {
    let named = |key: &[u8]| (1..call.len()).any(|index| call.str(index) == key);
    maps(call, 0).take(1).flat_map(Map::entries).filter(|(key, _)| named(key) == wanted).collect()
}

fn deep_copy(call: &Call<'_>) -> Answer {
    match call.any(0) {
        Value::Nil => Err("reflect: call of reflect.Value.Type on zero Value".to_owned()),
        value => copy_at(value, 0),
    }
}

/// Copies a value, with all maps and lists in it.
fn copy_at(value: &Value, depth: usize) -> Result<Value, String> {
    check_nesting(depth)?;
    match value {
        // A list is copied because it may contain maps, which could change.
        Value::List(list) if !list.is_nil() => {
            let items: Result<_, _> = list.items().iter().map(|item| copy_at(item, depth + 1)).collect();
            Ok(Value::List(List::typed(list.element(), items?)))
        }
        Value::Map(map) => {
            let mut entries = BTreeMap::new();
            for (key, value) in map.entries() {
                entries.insert(key, copy_at(&value, depth + 1)?);
            }
            Ok(Value::Map(if map.has_strings() { Map::of_strings(entries) } else { Map::of_any(entries) }))
        }
        // Go does not copy private fields, and all fields of a version are private.
        Value::Version(_) => Version::parse("0.0.0").map(Value::Version),
        other => Ok(other.clone()),
    }
}

/// Returns the value at a path of keys in the map, which is the last argument, or the default, which precedes it.
fn dig(call: &Call<'_>) -> Answer {
    let Some(path_length) = call.len().checked_sub(2).filter(|&length| length > 0) else {
        return Err("dig needs at least three arguments".to_owned());
    };
    let wrong = |value: &Value, wanted: &str| {
        let got = if matches!(value, Value::Nil) { "nil" } else { value.type_name() };
        format!("interface conversion: interface {{}} is {got}, not {wanted}")
    };
    let as_map = |value: &Value| match value {
        Value::Map(map) if !map.has_strings() => Ok(map.clone()),
        other => Err(wrong(other, "map[string]interface {}")),
    };
    // Go uses type assertions here. The error messages are those of Go's panics.
    let mut map = as_map(call.any(path_length + 1))?;
    let mut path = Vec::new();
    for key in call.rest(0).take(path_length) {
        match key {
            Value::String(key) => path.push(key.clone()),
            other => return Err(wrong(other, "string")),
        }
    }
    for (index, key) in path.iter().enumerate() {
        let Some(step) = map.get(key) else {
            break;
        };
        if index + 1 == path_length {
            return Ok(step);
        }
        map = as_map(&step)?;
    }
    Ok(call.any(path_length).clone())
}
