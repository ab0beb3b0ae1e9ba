//! The functions that `text/template` itself has, but for comparing and escaping.

use crate::call::Type::{Any, Reflect, Str};
use crate::call::{Answer, Body, Call, Function, function};
use crate::operand::Operand;
use crate::printer::{sprint, sprintln};
use crate::printf::sprintf;
use crate::value::{Integer, IntegerKind, Value};

pub(crate) const FUNCTIONS: &[Function] = &[
    special("and", Body::And),
    special("or", Body::Or),
    special("call", Body::Call),
    special("index", Body::Reflect(index)),
    function("len", &[Reflect], len),
    function("not", &[Reflect], |call| Ok(Value::Bool(!call.any(0).is_true()))),
    function("print", &[], |call| sprint(call.rest(0)).map(Value::text)).variadic(Any),
    function("printf", &[Str], printf).variadic(Any),
    function("println", &[], |call| sprintln(call.rest(0)).map(Value::text)).variadic(Any),
];

/// At least one argument of any kind.
const fn special(name: &'static str, body: Body) -> Function {
    Function { name, params: &[Reflect], variadic: Some(Reflect), returns_any: false, body }
}

fn printf(call: &Call<'_>) -> Answer {
    let args: Vec<&Value> = call.rest(1).collect();
    sprintf(call.str(0), &args).map(Value::text)
}

fn len(call: &Call<'_>) -> Answer {
    let length = match call.operand(0) {
        Operand::Missing => return Err("reflect: call of reflect.Value.Type on zero Value".to_owned()),
        Operand::Interface(Value::Nil) => return Err("len of nil pointer".to_owned()),
        operand => match operand.value() {
            Value::String(text) => text.len(),
            Value::List(list) => list.items().len(),
            Value::Map(map) => map.len(),
            other => return Err(format!("len of type {}", pointed_to(other))),
        },
    };
    Ok(Value::Int(length as i64))
}

/// The type of a value, or of what it points to.
fn pointed_to(value: &Value) -> &'static str {
    value.type_name().trim_start_matches('*')
}

/// Follows indices and keys into lists, maps and strings.
fn index(call: &Call<'_>) -> Result<Operand, String> {
    let mut item = call.operand(0).clone().unwrapped();
    if matches!(item, Operand::Missing) {
        return Err("index of untyped nil".to_owned());
    }
    for at in 1..call.len() {
        if item.is_nil_interface() {
            return Err("index of nil pointer".to_owned());
        }
        let key = call.any(at);
        item = match item.value() {
            Value::List(list) => {
                let at = position(key, list.items().len())?;
                // Go's own check lets the length itself pass.
                let item = list.items().get(at).ok_or("reflect: slice index out of range")?;
                Operand::element(list, item)
            }
            Value::String(text) => {
                let at = position(key, text.len())?;
                let byte = text.get(at).ok_or("reflect: string index out of range")?;
                let integer = Integer { kind: IntegerKind::Uint8, bits: i64::from(*byte) };
                Operand::Of(Value::Integer(integer))
            }
            Value::Map(map) => match key {
                Value::String(key) => {
                    let missing = || if map.has_strings() { Value::from("") } else { Value::Nil };
                    Operand::entry(map, map.get(key).unwrap_or_else(missing))
                }
                Value::Nil => return Err("value is nil; should be of type string".to_owned()),
                other => return Err(format!("value has type {}; should be string", other.type_name())),
            },
            other => return Err(format!("can't index item of type {}", pointed_to(other))),
        };
    }
    Ok(item)
}

/// An index into something of a length; the length itself is let pass.
fn position(index: &Value, length: usize) -> Result<usize, String> {
    let number = match index {
        Value::Int(number) => *number,
        Value::Integer(integer) => integer.bits,
        Value::Nil => return Err("cannot index slice/array with nil".to_owned()),
        other => return Err(format!("cannot index slice/array with type {}", other.type_name())),
    };
    let position = usize::try_from(number).ok().filter(|&position| position <= length);
    position.ok_or_else(|| format!("index out of range: {number}"))
}
