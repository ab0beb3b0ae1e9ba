//! `eq`, `ne`, `lt`, `le`, `gt` and `ge`.

use std::mem::discriminant;

use crate::eval::call::Call;
use crate::eval::function::{Function, Type::Reflect, function};
use crate::print::printer::{show, show_as};
use crate::values::value::Value;

pub(crate) const FUNCTIONS: &[Function] = &[
    function("eq", &[Reflect], |call| equals_any(call).map(Value::Bool)).variadic(Reflect),
    function("ne", &[Reflect, Reflect], |call| Ok(Value::Bool(!equals_any(call)?))),
    function("lt", &[Reflect, Reflect], |call| Ok(Value::Bool(less(call)?))),
    function("le", &[Reflect, Reflect], |call| Ok(Value::Bool(less_or_equal(call)?))),
    function("gt", &[Reflect, Reflect], |call| Ok(Value::Bool(!less_or_equal(call)?))),
    function("ge", &[Reflect, Reflect], |call| Ok(Value::Bool(!less(call)?))),
];

/// A value of a basic type: only these can be ordered.
#[derive(PartialEq, PartialOrd)]
enum Basic<'a> {
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    String(&'a [u8]),
}

fn basic(value: &Value) -> Option<Basic<'_>> {
    Some(match value {
        Value::Bool(truth) => Basic::Bool(*truth),
        Value::Int(number) => Basic::Int(*number),
        Value::Float(number) => Basic::Float(*number),
        Value::String(text) => Basic::String(text),
        Value::Integer(integer) if integer.kind.is_unsigned() => Basic::Uint(integer.bits as u64),
        Value::Integer(integer) => Basic::Int(integer.bits),
        _ => return None,
    })
}

fn incompatible(left: &Value, right: &Value) -> String {
    format!("incompatible types for comparison: {} and {}", left.type_name(), right.type_name())
}

/// Returns true if the first argument equals any other argument.
fn equals_any(call: &Call<'_>) -> Result<bool, String> {
    if call.len() < 2 {
        return Err("missing argument for comparison".to_owned());
    }
    for other in call.rest(1) {
        if equal(call.any(0), other)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn equal(left: &Value, right: &Value) -> Result<bool, String> {
    match (basic(left), basic(right)) {
        // Go compares signed with unsigned integers by value, but never compares integers with floats.
        (Some(Basic::Int(int)), Some(Basic::Uint(uint)))
        | (Some(Basic::Uint(uint)), Some(Basic::Int(int))) => Ok(u64::try_from(int) == Ok(uint)),
        (Some(one), Some(other)) if discriminant(&one) == discriminant(&other) => Ok(one == other),
        (None, None) => equal_complex(left, right),
        // A basic value never equals nil, and Go accepts this comparison.
        _ if matches!(left, Value::Nil) || matches!(right, Value::Nil) => Ok(false),
        _ => Err(incompatible(left, right)),
    }
}

/// Compares two values that are not numbers, strings or booleans.
fn equal_complex(left: &Value, right: &Value) -> Result<bool, String> {
    if matches!((left, right), (Value::Nil, Value::Nil)) {
        return Ok(true);
    }
    if is_nil(left) || is_nil(right) {
        let same_kind = left.kind_name() == right.kind_name();
        let one_is_missing = matches!(left, Value::Nil) || matches!(right, Value::Nil);
        if same_kind || one_is_missing {
            return Ok(is_nil(left) == is_nil(right));
        }
    }
    match (left, right) {
        (Value::Time(left), Value::Time(right)) => {
            Ok((left.seconds, left.nanos) == (right.seconds, right.nanos))
        }
        // A version is a pointer in Go.
        (Value::Version(left), Value::Version(right)) => Ok(left.is_same(right)),
        _ if left.kind_name() == right.kind_name() => {
            Err(format!("non-comparable type {}: {}", show_as(right, 's'), right.type_name()))
        }
        _ => Err(format!(
            "non-comparable types {}: {}, {}: {}",
            show_as(left, 's'),
            left.type_name(),
            right.type_name(),
            show(right)
        )),
    }
}

fn is_nil(value: &Value) -> bool {
    match value {
        Value::Nil => true,
        Value::List(list) => list.is_nil(),
        _ => false,
    }
}

fn less(call: &Call<'_>) -> Result<bool, String> {
    let bad = || "invalid type for comparison".to_owned();
    let (left, right) = (call.any(0), call.any(1));
    match (basic(left).ok_or_else(bad)?, basic(right).ok_or_else(bad)?) {
        // Go can compare booleans, but it cannot order them.
        (Basic::Bool(_), Basic::Bool(_)) => Err(bad()),
        (Basic::Int(left), Basic::Uint(right)) => Ok(i128::from(left) < right.into()),
        (Basic::Uint(left), Basic::Int(right)) => Ok(i128::from(left) < right.into()),
        (one, other) if discriminant(&one) == discriminant(&other) => Ok(one < other),
        _ => Err(incompatible(left, right)),
    }
}

fn less_or_equal(call: &Call<'_>) -> Result<bool, String> {
    // Go defines `le` as `lt` or `eq`, `gt` as not `le`, and `ge` as not `lt`. The results for NaN depend on this.
    Ok(less(call)? || equal(call.any(0), call.any(1))?)
}
