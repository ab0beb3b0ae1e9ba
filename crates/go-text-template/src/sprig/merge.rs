//! `merge` and `mergeOverwrite`, which merge maps as the Go package `mergo` does.

use crate::eval::call::Call;
use crate::eval::function::{Answer, Function, Type::Dict, function};
use crate::limits::check_nesting;
use crate::values::value::{Map, Value};

pub(crate) const FUNCTIONS: &[Function] = &[
    function("merge", &[Dict], |call| merge(call, false)).variadic(Dict).returns_any().also(&["mustMerge"]),
    function("mergeOverwrite", &[Dict], |call| merge(call, true))
        .variadic(Dict)
        .returns_any()
        .also(&["mustMergeOverwrite"]),
];

/// Merges all maps into the first one, in place.
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
    check_nesting(depth)?;
    // A map that is merged into itself does not change.
    if target.is_same(source) {
        return Ok(());
    }
    for (key, value) in source.entries() {
        let old = target.get(&key);
        // `mergo` skips nil unless it overwrites.
        if matches!(value, Value::Nil) {
            if overwrite {
                target.insert(key, value);
            }
            continue;
        }
        if let (Value::Map(source), Some(Value::Map(target))) = (&value, &old) {
            merge_into(target, source, overwrite, depth + 1)?;
        }
        // `mergo` replaces empty values such as 0 and "" even without overwriting.
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
