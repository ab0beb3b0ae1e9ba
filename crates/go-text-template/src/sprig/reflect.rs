//! `typeOf`, `kindOf` and other tests of types and kinds.

use crate::eval::function::Type::{Any, Str};
use crate::eval::function::{Function, function};
use crate::sprig::deep_equal;
use crate::values::value::Value;

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
    function("deepEqual", &[Any, Any], |call| deep_equal::equal(call.any(0), call.any(1)).map(Value::Bool)),
];
