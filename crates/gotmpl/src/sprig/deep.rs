//! Comparing and copying values in depth.

use crate::limits::{MAX_NESTING, too_deep};
use crate::value::{List, Map, Value};
use crate::version::Version;

/// Go's `reflect.DeepEqual`: types count as well.
pub(crate) fn equal(left: &Value, right: &Value) -> Result<bool, String> {
    equal_at(left, right, 0)
}

fn equal_at(left: &Value, right: &Value, depth: usize) -> Result<bool, String> {
    if depth > MAX_NESTING {
        return Err(too_deep());
    }
    if left.type_name() != right.type_name() {
        return Ok(false);
    }
    Ok(match (left, right) {
        (Value::Nil, Value::Nil) => true,
        (Value::Bool(left), Value::Bool(right)) => left == right,
        (Value::Int(left), Value::Int(right)) => left == right,
        (Value::Float(left), Value::Float(right)) => left == right,
        (Value::String(left), Value::String(right)) => left == right,
        (Value::Integer(left), Value::Integer(right)) => left == right,
        (Value::Time(left), Value::Time(right)) => (left.seconds, left.nanos) == (right.seconds, right.nanos),
        (Value::Version(left), Value::Version(right)) => left.parts().original == right.parts().original,
        (Value::List(left), Value::List(right)) => {
            if left.is_nil() != right.is_nil() || left.items().len() != right.items().len() {
                return Ok(false);
            }
            for (left, right) in left.items().iter().zip(right.items()) {
                if !equal_at(left, right, depth + 1)? {
                    return Ok(false);
                }
            }
            true
        }
        (Value::Map(left), Value::Map(right)) => {
            if left.same_as(right) {
                return Ok(true);
            }
            let (left, right) = (left.entries(), right.entries());
            if left.len() != right.len() {
                return Ok(false);
            }
            for ((left_key, left), (right_key, right)) in left.iter().zip(&right) {
                if left_key != right_key || !equal_at(left, right, depth + 1)? {
                    return Ok(false);
                }
            }
            true
        }
        _ => false,
    })
}

/// A copy that shares no map with the original.
pub(crate) fn copy(value: &Value) -> Result<Value, String> {
    copy_at(value, 0)
}

fn copy_at(value: &Value, depth: usize) -> Result<Value, String> {
    if depth > MAX_NESTING {
        return Err(too_deep());
    }
    match value {
        Value::List(list) if !list.is_nil() => {
            let items: Result<_, _> = list.items().iter().map(|item| copy_at(item, depth + 1)).collect();
            Ok(Value::List(List::typed(list.element(), items?)))
        }
        Value::Map(map) => {
            let mut entries = std::collections::BTreeMap::new();
            for (key, value) in map.entries() {
                entries.insert(key, copy_at(&value, depth + 1)?);
            }
            Ok(Value::Map(if map.has_strings() { Map::of_strings(entries) } else { Map::of_any(entries) }))
        }
        // Go's copy misses the private fields, and so all of a version.
        Value::Version(_) => Version::parse("0.0.0").map(Value::Version),
        other => Ok(other.clone()),
    }
}
