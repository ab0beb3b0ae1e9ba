//! `index`, `slice` and `len`.

use crate::eval::call::Call;
use crate::eval::function::{Answer, Body, Function, Type::Reflect, function};
use crate::eval::operand::Operand;
use crate::values::value::{Integer, IntegerKind, List, Value};

pub(crate) const FUNCTIONS: &[Function] = &[
    Function::reflective("index", Body::Reflect(index)),
    Function::reflective("slice", Body::Plain(slice)),
    function("len", &[Reflect], len),
];

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

/// Returns the type of a value, or the type to which it points.
fn pointed_to(value: &Value) -> &'static str {
    value.type_name().trim_start_matches('*')
}

/// Returns the element at a path of indices and keys in lists, maps and strings.
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
                // Go's check accepts the length itself, and the access then panics.
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
                    // A missing key has the zero value of the element type.
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

/// Returns a part of a list or string. The function `slice` of sprig replaces this one.
fn slice(call: &Call<'_>) -> Answer {
    let count = call.len() - 1;
    if count > 3 {
        return Err(format!("too many slice indexes: {count}"));
    }
    let length = match call.any(0) {
        Value::Nil => return Err("slice of untyped nil".to_owned()),
        Value::String(_) if count == 3 => return Err("cannot 3-index slice a string".to_owned()),
        Value::String(text) => text.len(),
        Value::List(list) => list.items().len(),
        other => return Err(format!("can't slice item of type {}", other.type_name())),
    };
    // In Go the third index limits the capacity. Lists have none here, so this index is only checked.
    let mut bounds = [0, length, length];
    for (bound, index) in bounds.iter_mut().zip(call.rest(1)) {
        *bound = position(index, length)?;
    }
    if let Some(pair) = bounds.windows(2).find(|pair| pair[0] > pair[1]) {
        return Err(format!("invalid slice index: {} > {}", pair[0], pair[1]));
    }
    let range = bounds[0]..bounds[1];
    Ok(match call.any(0) {
        Value::List(list) => Value::List(List::typed(list.element(), list.items()[range].to_vec())),
        _ => Value::text(&call.str(0)[range]),
    })
}

/// Converts an index of a list or string with `length` elements to a position. Accepts `length` itself, as Go
/// does.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::context::Context;

    #[test]
    fn slices_lists_and_strings_as_go() {
        let slice = |value: Value, indices: &[i64]| {
            let args = [value].into_iter().chain(indices.iter().map(|&index| Value::Int(index)));
            let args = args.map(Operand::Of).collect();
            let part = slice(&Call { args, context: &Context::default() })?;
            Ok::<_, String>(crate::print::printer::show(&part))
        };
        assert_eq!(slice("hello".into(), &[1, 3]).unwrap(), "el");
        assert_eq!(slice("hello".into(), &[]).unwrap(), "hello");
        assert_eq!(slice(vec![1_i64, 2, 3].into(), &[0, 2, 3]).unwrap(), "[1 2]");
        for (value, indices, error) in [
            (Value::Nil, &[][..], "slice of untyped nil"),
            ("a".into(), &[0, 1, 1], "cannot 3-index slice a string"),
            ("ab".into(), &[2, 1], "invalid slice index: 2 > 1"),
            ("ab".into(), &[3], "index out of range: 3"),
            (true.into(), &[], "can't slice item of type bool"),
        ] {
            assert_eq!(slice(value, indices).unwrap_err(), error);
        }
    }
}
