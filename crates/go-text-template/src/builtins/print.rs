//! `print`, `printf` and `println`.

use crate::eval::call::Call;
use crate::eval::function::Type::{Any, Str};
use crate::eval::function::{Answer, Function, function};
use crate::print::printer::{sprint, sprintln};
use crate::print::printf::sprintf;
use crate::values::value::Value;

pub(crate) const FUNCTIONS: &[Function] = &[
    function("print", &[], |call| sprint(call.rest(0)).map(Value::text)).variadic(Any),
    function("printf", &[Str], printf).variadic(Any),
    function("println", &[], |call| sprintln(call.rest(0)).map(Value::text)).variadic(Any),
];

fn printf(call: &Call<'_>) -> Answer {
    let args: Vec<&Value> = call.rest(1).collect();
    sprintf(call.str(0), &args).map(Value::text)
}
