//! The methods of times, versions, months and weekdays.

use std::cmp::Ordering;

use crate::datetime::format;
use crate::datetime::zone::Zone;
use crate::eval::call::Call;
use crate::eval::function::Type::{self, Str};
use crate::eval::function::{Function, NIL_POINTER, function};
use crate::values::value::{Integer, IntegerKind, Value};
use crate::values::version::{Version, VersionParts};

/// Finds a method of a value by its name.
pub(crate) fn find(value: &Value, name: &str) -> Option<&'static Function> {
    let methods = match value {
        Value::Time(_) => TIME,
        Value::Version(_) => VERSION,
        Value::Integer(integer) if matches!(integer.kind, IntegerKind::Month | IntegerKind::Weekday) => NAMED,
        _ => return None,
    };
    methods.iter().find(|method| method.name == name)
}

const TIME: &[Function] = &[
    function("Day", &[Type::Time], |call| Ok(Value::Int(call.time(0).civil().day.into()))),
    function("Equal", &[Type::Time, Type::Time], |call| Ok(Value::Bool(order(call) == Ordering::Equal))),
    function("After", &[Type::Time, Type::Time], |call| Ok(Value::Bool(order(call) == Ordering::Greater))),
    function("Before", &[Type::Time, Type::Time], |call| Ok(Value::Bool(order(call) == Ordering::Less))),
    function("Format", &[Type::Time, Str], |call| {
        Ok(Value::text(format::format(&call.time(0), call.str(1))))
    }),
    function("Hour", &[Type::Time], |call| Ok(Value::Int(call.time(0).civil().hour.into()))),
    function("IsZero", &[Type::Time], |call| {
        let time = call.time(0);
        Ok(Value::Bool((time.seconds, time.nanos) == (crate::datetime::time::Time::ZERO.seconds, 0)))
    }),
    function("Minute", &[Type::Time], |call| Ok(Value::Int(call.time(0).civil().minute.into()))),
    function("Month", &[Type::Time], |call| {
        let bits = call.time(0).civil().month.into();
        Ok(Value::Integer(Integer { kind: IntegerKind::Month, bits }))
    }),
    function("Nanosecond", &[Type::Time], |call| Ok(Value::Int(call.time(0).nanos.into()))),
    function("Second", &[Type::Time], |call| Ok(Value::Int(call.time(0).civil().second.into()))),
    function("String", &[Type::Time], |call| Ok(Value::from(format::to_string(&call.time(0))))),
    function("UTC", &[Type::Time], |call| Ok(Value::Time(call.time(0).in_zone(Zone::Utc)))),
    function("Unix", &[Type::Time], |call| Ok(Value::int64(call.time(0).seconds))),
    function("UnixMicro", &[Type::Time], |call| Ok(unix(call, 1_000_000))),
    function("UnixMilli", &[Type::Time], |call| Ok(unix(call, 1000))),
    function("UnixNano", &[Type::Time], |call| Ok(unix(call, 1_000_000_000))),
    function("Weekday", &[Type::Time], |call| {
        let bits = call.time(0).civil().weekday.into();
        Ok(Value::Integer(Integer { kind: IntegerKind::Weekday, bits }))
    }),
    function("Year", &[Type::Time], |call| Ok(Value::Int(call.time(0).civil().year))),
    function("YearDay", &[Type::Time], |call| Ok(Value::Int(call.time(0).civil().year_day.into()))),
];

fn order(call: &Call<'_>) -> Ordering {
    let (left, right) = (call.time(0), call.time(1));
    (left.seconds, left.nanos).cmp(&(right.seconds, right.nanos))
}

/// Returns the time since 1970 in units of 1/`parts` of a second.
fn unix(call: &Call<'_>, parts: i64) -> Value {
    let time = call.time(0);
    // Go does not check for overflow here.
    let fraction = i64::from(time.nanos) / (1_000_000_000 / parts);
    Value::int64(time.seconds.wrapping_mul(parts).wrapping_add(fraction))
}

const NAMED: &[Function] = &[function("String", &[Type::Reflect], |call| {
    Ok(Value::from(crate::print::printer::to_string(call.any(0)).unwrap_or_default()))
})];

const VERSION: &[Function] = &[
    function("Compare", &[Type::Version, Type::Version], |call| {
        compare(call).map(|order| Value::Int(order as i64))
    }),
    function("Equal", &[Type::Version, Type::Version], |call| is(call, Ordering::Equal)),
    function("GreaterThan", &[Type::Version, Type::Version], |call| is(call, Ordering::Greater)),
    function("IncMajor", &[Type::Version], |call| increment(call, 0)),
    function("IncMinor", &[Type::Version], |call| increment(call, 1)),
    function("IncPatch", &[Type::Version], |call| increment(call, 2)),
    function("LessThan", &[Type::Version, Type::Version], |call| is(call, Ordering::Less)),
    function("Major", &[Type::Version], |call| number(call, 0)),
    function("Metadata", &[Type::Version], |call| text(call, |parts| &parts.metadata)),
    function("Minor", &[Type::Version], |call| number(call, 1)),
    function("Original", &[Type::Version], |call| text(call, |parts| &parts.original)),
    function("Patch", &[Type::Version], |call| number(call, 2)),
    function("Prerelease", &[Type::Version], |call| text(call, |parts| &parts.prerelease)),
    function("String", &[Type::Version], |call| Ok(Value::from(version(call, 0)?.to_string()))),
];

fn version<'c>(call: &'c Call<'_>, index: usize) -> Result<&'c Version, String> {
    match call.any(index) {
        Value::Version(version) => Ok(version),
        _ => Err(NIL_POINTER.to_owned()),
    }
}

fn compare(call: &Call<'_>) -> Result<Ordering, String> {
    Ok(version(call, 0)?.compare(version(call, 1)?))
}

fn is(call: &Call<'_>, wanted: Ordering) -> Result<Value, String> {
    compare(call).map(|order| Value::Bool(order == wanted))
}

fn number(call: &Call<'_>, index: usize) -> Result<Value, String> {
    let bits = version(call, 0)?.parts().numbers[index] as i64;
    Ok(Value::Integer(Integer { kind: IntegerKind::Uint64, bits }))
}

fn text(call: &Call<'_>, part: fn(&VersionParts) -> &String) -> Result<Value, String> {
    Ok(Value::from(part(version(call, 0)?.parts()).as_str()))
}

/// Returns the next version with another number at `index`.
fn increment(call: &Call<'_>, index: usize) -> Result<Value, String> {
    let version = version(call, 0)?;
    let VersionParts { mut numbers, ref prerelease, .. } = *version.parts();
    // The next patch version of a prerelease is its release.
    if index < 2 || prerelease.is_empty() {
        // The numbers are unsigned integers in Go, whose addition wraps around.
        numbers[index] = numbers[index].wrapping_add(1);
    }
    numbers[index + 1..].fill(0);
    Ok(Value::Version(version.next(numbers)))
}
