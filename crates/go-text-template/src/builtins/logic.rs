//! `and`, `or`, `not` and `call`. The executor evaluates `and`, `or` and `call` itself.

use crate::eval::function::{Body, Function, Type::Reflect, function};
use crate::values::value::Value;

pub(crate) const FUNCTIONS: &[Function] = &[
    Function::reflective("and", Body::And),
    Function::reflective("or", Body::Or),
    Function::reflective("call", Body::Call),
    function("not", &[Reflect], |call| Ok(Value::Bool(!call.any(0).is_true()))),
];
