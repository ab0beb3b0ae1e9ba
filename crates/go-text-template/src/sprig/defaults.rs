//! `default`, `coalesce`, `ternary` and other choices between values.

use crate::eval::function::Type::{Any, Bool, Str};
use crate::eval::function::{Function, function};
use crate::values::value::Value;

pub(crate) const FUNCTIONS: &[Function] = &[
    function("default", &[Any], |call| {
        let given = call.rest(1).next().filter(|given| given.is_true());
        Ok(given.unwrap_or(call.any(0)).clone())
    })
    .variadic(Any)
    .returns_any(),
    function("empty", &[Any], |call| Ok(Value::Bool(!call.any(0).is_true()))),
    function("coalesce", &[], |call| {
        Ok(call.rest(0).find(|value| value.is_true()).cloned().unwrap_or_default())
    })
    .variadic(Any)
    .returns_any(),
    function("all", &[], |call| Ok(Value::Bool(call.rest(0).all(Value::is_true)))).variadic(Any),
    function("any", &[], |call| Ok(Value::Bool(call.rest(0).any(Value::is_true)))).variadic(Any),
    function("ternary", &[Any, Any, Bool], |call| Ok(call.any(if call.bool(2) { 0 } else { 1 }).clone()))
        .returns_any(),
    function("fail", &[Str], |call| Err(call.text(0).to_string())),
];
