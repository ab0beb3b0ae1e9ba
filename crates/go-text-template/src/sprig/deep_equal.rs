//! Deep equality of values.

use crate::limits::check_nesting;
use crate::values::value::Value;

/// Compares two values as Go's `reflect.DeepEqual` does: the types must be equal, too.
pub(crate) fn equal(left: &Value, right: &Value) -> Result<bool, String> {
    equal_at(left, right, 0)
}

fn equal_at(left: &Value, right: &Value, depth: usize) -> Result<bool, String> {
    check_nesting(depth)?;
    if left.type_name() != right.type_name() {
        return Ok(false);
    }
    Ok(match (left, right) {
        (Value::Nil, Value::Nil) => true,
        (Value::Bool(left), Value::Bool(right)) => left == right,
        (Value::Int(left), Value::Int(right)) => left == right,
        // NaN differs from itself, as in Go.
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
            // A map is equal to itself. Without this check, a map that contains itself would exceed the nesting limit.
            if left.is_same(right) {
                return Ok(true);
            }
            let (left, right) = (left.entries(), right.entries());
            if left.len() != right.len() {
                return Ok(false);
            }
            // Both lists of entries are in the order of their keys.
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
