//! Types and kinds of values.

use crate::call::Type::{Any, Str};
use crate::call::{Function, function};
use crate::sprig::deep;
use crate::value::Value;

pub(crate) const FUNCTIONS: &[Function] = &[
    function("typeOf", &[Any], |call| Ok(Value::from(call.any(0).type_name()))),
    function("typeIs", &[Str, Any], |call| {
        Ok(Value::Bool(call.str(0) == call.any(1).type_name().as_bytes()))
    }),
    function("typeIsLike", &[Str, Any], |call| {
        let (wanted, actual) = (call.str(0), call.any(1).type_name().as_bytes());
        Ok(Value::Bool(wanted == actual || actual.strip_prefix(b"*") == Some(wanted)))
    }),
    function("kindOf", &[Any], |call| Ok(Value::from(call.any(0).kind_name()))),
    function("kindIs", &[Str, Any], |call| {
        Ok(Value::Bool(call.str(0) == call.any(1).kind_name().as_bytes()))
    }),
    function("deepEqual", &[Any, Any], |call| deep::equal(call.any(0), call.any(1)).map(Value::Bool)),
];
