//! Merging maps as mergo does.

use crate::call::Type::Dict;
use crate::call::{Answer, Call, Function, function};
use crate::limits::{MAX_NESTING, too_deep};
use crate::value::{Map, Value};

pub(crate) const FUNCTIONS: &[Function] = &[
    function("merge", &[Dict], |call| merge(call, false)).variadic(Dict).returns_any(),
    function("mustMerge", &[Dict], |call| merge(call, false)).variadic(Dict).returns_any(),
    function("mergeOverwrite", &[Dict], |call| merge(call, true)).variadic(Dict).returns_any(),
    function("mustMergeOverwrite", &[Dict], |call| merge(call, true)).variadic(Dict).returns_any(),
];

/// Merges all maps into the first, which changes.
fn merge(call: &Call<'_>, overwrite: bool) -> Answer {
    let target = call.map(0).cloned().unwrap_or_default();
    for index in 1..call.len() {
        if let Some(source) = call.map(index) {
            merge_into(&target, source, overwrite, 0)?;
        }
    }
    Ok(Value::Map(target))
}

fn merge_into(target: &Map, source: &Map, overwrite: bool, depth: usize) -> Result<(), String> {
    if depth > MAX_NESTING {
        return Err(too_deep());
    }
    if target.same_as(source) {
        return Ok(());
    }
    for (key, value) in source.entries() {
        let old = target.get(&key);
        if matches!(value, Value::Nil) {
            if overwrite {
                target.insert(key, value);
            }
            continue;
        }
        if let (Value::Map(source), Some(Value::Map(target))) = (&value, &old) {
            merge_into(target, source, overwrite, depth + 1)?;
        }
        let keeps = old.as_ref().is_some_and(Value::is_true);
        if keeps && matches!((&value, &old), (Value::Map(_), Some(Value::Map(_)))) {
            continue;
        }
        if overwrite || !keeps {
            target.insert(key, value);
        }
    }
    Ok(())
}
