//! Arithmetic, and conversions of values to numbers.

use std::ops::{Add, Div, Mul, Sub};

use crate::eval::call::Call;
use crate::eval::function::Type::{Any, Float, Int, Str};
use crate::eval::function::{Answer, Function, function};
use crate::limits::{MAX_LIST, too_many};
use crate::print::printer::print_value;
use crate::sprig::decimal::{Decimal, fold};
use crate::values::number::{parse_float, parse_int};
use crate::values::value::{Element, IntegerKind, List, Value};

pub(crate) const FUNCTIONS: &[Function] = &[
    function("atoi", &[Str], |call| Ok(Value::Int(atoi(call.str(0))))),
    function("int64", &[Any], |call| Ok(Value::int64(to_int64(call.any(0))))),
    function("int", &[Any], |call| Ok(Value::Int(to_int64(call.any(0))))),
    function("float64", &[Any], |call| Ok(Value::Float(to_float64(call.any(0))))),
    function("toDecimal", &[Any], to_decimal),
    function("add1", &[Any], |call| Ok(Value::int64(to_int64(call.any(0)).wrapping_add(1)))),
    function("add", &[], |call| Ok(Value::int64(integers(call).fold(0, i64::wrapping_add)))).variadic(Any),
    function("sub", &[Any, Any], |call| {
        Ok(Value::int64(to_int64(call.any(0)).wrapping_sub(to_int64(call.any(1)))))
    }),
    // In Go, the smallest integer divided by -1 wraps around.
    function("div", &[Any, Any], |call| divide(call, i64::wrapping_div)),
    function("mod", &[Any, Any], |call| divide(call, i64::wrapping_rem)),
    function("mul", &[Any], |call| Ok(Value::int64(integers(call).fold(1, i64::wrapping_mul)))).variadic(Any),
    function("max", &[Any], |call| Ok(Value::int64(integers(call).max().unwrap_or(0))))
        .variadic(Any)
        .also(&["biggest"]),
    function("min", &[Any], |call| Ok(Value::int64(integers(call).min().unwrap_or(0)))).variadic(Any),
    function("maxf", &[Any], |call| Ok(extreme(call, |one, other| one > other))).variadic(Any),
    function("minf", &[Any], |call| Ok(extreme(call, |one, other| one < other))).variadic(Any),
    function("add1f", &[Any], |call| fold(floats(call).chain([1.0]), Decimal::add, f64::add)),
    function("addf", &[], |call| fold(std::iter::once(0.0).chain(floats(call)), Decimal::add, f64::add))
        .variadic(Any),
    function("subf", &[Any], |call| fold(floats(call), Decimal::sub, f64::sub)).variadic(Any),
    function("divf", &[Any], |call| fold(floats(call), Decimal::div, f64::div)).variadic(Any),
    function("mulf", &[Any], |call| fold(floats(call), Decimal::mul, f64::mul)).variadic(Any),
    function("ceil", &[Any], |call| Ok(Value::Float(to_float64(call.any(0)).ceil()))),
    function("floor", &[Any], |call| Ok(Value::Float(to_float64(call.any(0)).floor()))),
    function("round", &[Any, Int], round).variadic(Float),
    function("until", &[Int], |call| {
        let count = call.int(0);
        steps(0, count, if count < 0 { -1 } else { 1 }).map(ints)
    }),
    function("untilStep", &[Int, Int, Int], |call| steps(call.int(0), call.int(1), call.int(2)).map(ints)),
    function("seq", &[], seq).variadic(Int),
];

fn integers(call: &Call<'_>) -> impl Iterator<Item = i64> {
    call.rest(0).map(to_int64)
}

fn floats(call: &Call<'_>) -> impl Iterator<Item = f64> {
    call.rest(0).map(to_float64)
}

/// Converts a float to an integer. A number out of range becomes `i64::MIN`, as in Go on x86-64.
pub(crate) fn float_to_int(number: f64) -> i64 {
    let fits = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&number);
    if fits { number as i64 } else { i64::MIN }
}

/// Converts a value to an integer as the Go package `cast` does. A value that is not a number becomes 0.
pub(crate) fn to_int64(value: &Value) -> i64 {
    match value {
        Value::Int(number) => *number,
        // A large `uint64` becomes negative, as in Go.
        Value::Integer(integer) => integer.bits,
        Value::Float(number) => float_to_int(*number),
        Value::Bool(truth) => i64::from(*truth),
        Value::String(text) => {
            std::str::from_utf8(text).map_or(0, |text| parse_int(without_zero_fraction(text)).unwrap_or(0))
        }
        _ => 0,
    }
}

/// Removes a fraction that consists of zeros.
fn without_zero_fraction(text: &str) -> &str {
    let trimmed = text.trim_end_matches('0');
    if trimmed.len() < text.len() { trimmed.strip_suffix('.').unwrap_or(text) } else { text }
}

/// Converts a value to a float as the Go package `cast` does. A value that is not a number becomes 0.
pub(crate) fn to_float64(value: &Value) -> f64 {
    match value {
        Value::Int(number) => *number as f64,
        Value::Integer(integer) if integer.kind == IntegerKind::Uint64 => integer.bits as u64 as f64,
        Value::Integer(integer) => integer.bits as f64,
        Value::Float(number) => *number,
        Value::Bool(truth) => f64::from(u8::from(*truth)),
        Value::String(text) => {
            std::str::from_utf8(text).ok().and_then(|text| parse_float(text).ok()).unwrap_or(0.0)
        }
        _ => 0.0,
    }
}

/// Parses a decimal integer. A number out of range becomes the nearest `i64`, and any other text becomes 0.
fn atoi(text: &[u8]) -> i64 {
    let text = String::from_utf8_lossy(text);
    let digits = text.strip_prefix(['+', '-']).unwrap_or(&text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return 0;
    }
    text.parse().unwrap_or(if text.starts_with('-') { i64::MIN } else { i64::MAX })
}

/// Parses octal digits.
fn to_decimal(call: &Call<'_>) -> Answer {
    let text = print_value(call.any(0))?;
    let text = String::from_utf8_lossy(&text);
    let digits = text.strip_prefix(['+', '-']).unwrap_or(&text);
    let octal = !digits.is_empty() && digits.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    Ok(Value::int64(if octal { i64::from_str_radix(&text, 8).unwrap_or(0) } else { 0 }))
}

fn divide(call: &Call<'_>, operation: fn(i64, i64) -> i64) -> Answer {
    match to_int64(call.any(1)) {
        0 => Err("runtime error: integer divide by zero".to_owned()),
        divisor => Ok(Value::int64(operation(to_int64(call.any(0)), divisor))),
    }
}

/// Returns the maximum or minimum as Go's `math.Max` and `math.Min` do. The result is NaN if an argument is NaN,
/// unless another argument is positive infinity (for the maximum) or negative infinity (for the minimum).
fn extreme(call: &Call<'_>, better: fn(f64, f64) -> bool) -> Value {
    let limit = if better(1.0, 0.0) { f64::INFINITY } else { f64::NEG_INFINITY };
    let pick = |one: f64, other: f64| {
        if one == limit || other == limit {
            limit
        } else if one.is_nan() || other.is_nan() {
            f64::NAN
        } else if one == 0.0 && other == 0.0 {
            // The positive zero is greater than the negative zero.
            if better(1.0, 0.0) == one.is_sign_negative() { other } else { one }
        } else if better(other, one) {
            other
        } else {
            one
        }
    };
    Value::Float(floats(call).reduce(pick).unwrap_or(0.0))
}

fn round(call: &Call<'_>) -> Answer {
    let threshold = match call.rest(2).next() {
        Some(Value::Float(threshold)) => *threshold,
        _ => 0.5,
    };
    let power = 10.0_f64.powf(call.int(1) as f64);
    let shifted = power * to_float64(call.any(0));
    // Sprig tests the fraction, which is negative for negative numbers, so these are rounded down.
    let rounded = if shifted.fract() >= threshold { shifted.ceil() } else { shifted.floor() };
    Ok(Value::Float(rounded / power))
}

/// Returns the numbers from `start` up or down to `stop`, without `stop`.
fn steps(start: i64, stop: i64, step: i64) -> Result<Vec<i64>, String> {
    let mut numbers = Vec::new();
    let descending = stop < start;
    if (descending && step >= 0) || (!descending && step <= 0) {
        return Ok(numbers);
    }
    let mut number = start;
    while if descending { number > stop } else { number < stop } {
        if numbers.len() == MAX_LIST {
            return Err(too_many());
        }
        numbers.push(number);
        // Go's addition wraps around. The limit above ends the loop then.
        number = number.wrapping_add(step);
    }
    Ok(numbers)
}

fn ints(numbers: Vec<i64>) -> Value {
    Value::List(List::typed(Element::Int, numbers.into_iter().map(Value::Int).collect()))
}

fn seq(call: &Call<'_>) -> Answer {
    let params: Vec<i64> = (0..call.len()).map(|index| call.int(index)).collect();
    let (start, end, step) = match params[..] {
        [end] => (1, end, if end < 1 { -1 } else { 1 }),
        [start, end] => (start, end, if end < start { -1 } else { 1 }),
        // The order of three arguments is that of the program `seq`.
        [start, step, end] if end >= start || step <= 0 => (start, end, step),
        _ => return Ok(Value::from("")),
    };
    // `seq` includes its end, `steps` does not.
    let inclusive = end.wrapping_add(if end < start { -1 } else { 1 });
    let numbers: Vec<String> = steps(start, inclusive, step)?.iter().map(i64::to_string).collect();
    Ok(Value::from(numbers.join(" ")))
}
