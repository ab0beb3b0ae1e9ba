//! Deep copies of values.

use std::collections::BTreeMap;

use crate::limits::check_nesting;
use crate::values::value::{List, Map, Value};
use crate::values::version::Version;

/// Copies a value, with all maps and lists in it.
pub(crate) fn copy(value: &Value) -> Result<Value, String> {
    copy_at(value, 0)
}

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
