//! Functions for dates and durations, such as `now`, `date` and `ago`.

use crate::datetime::duration;
use crate::datetime::format;
use crate::datetime::parse::parse;
use crate::datetime::time::Time;
use crate::datetime::zone::Zone;
use crate::eval::call::Call;
use crate::eval::context::Context;
use crate::eval::function::Type::{Any, Str, Time as TimeType};
use crate::eval::function::{Answer, Function, function};
use crate::values::value::{Integer, IntegerKind, Value};

pub(crate) const FUNCTIONS: &[Function] = &[
    function("now", &[], |call| Ok(Value::Time(call.context.now()))),
    function("ago", &[Any], ago),
    function("date", &[Str, Any], |call| Ok(format(call, call.str(0), 1, b"Local"))),
    function("dateInZone", &[Str, Any, Str], |call| Ok(format(call, call.str(0), 1, call.str(2))))
        .also(&["date_in_zone"]),
    function("htmlDate", &[Any], |call| Ok(format(call, HTML, 0, b"Local"))),
    function("htmlDateInZone", &[Any, Str], |call| Ok(format(call, HTML, 0, call.str(1)))),
    function("dateModify", &[Str, TimeType], modify).also(&["date_modify"]),
    function("mustDateModify", &[Str, TimeType], must_modify).also(&["must_date_modify"]),
    function("duration", &[Any], seconds_to_duration),
    function("durationRound", &[Any], round),
    function("toDate", &[Str, Str], |call| Ok(Value::Time(parse_date(call).unwrap_or(Time::ZERO)))),
    function("mustToDate", &[Str, Str], |call| parse_date(call).map(Value::Time)),
    function("unixEpoch", &[TimeType], |call| Ok(Value::from(call.time(0).seconds.to_string()))),
];

const HTML: &[u8] = b"2006-01-02";

/// Converts a time or a number of seconds since 1970 to a time. Any other value is the current time.
fn time_of(value: &Value, context: &Context) -> Time {
    match value {
        Value::Time(time) => time.clone(),
        Value::Int(seconds) | Value::Integer(Integer { kind: IntegerKind::Int64, bits: seconds }) => {
            Time { seconds: *seconds, nanos: 0, zone: context.local.clone() }
        }
        // Sprig uses the current time for all other types, so a string is not parsed.
        _ => context.now(),
    }
}

fn format(call: &Call<'_>, layout: &[u8], at: usize, zone: &[u8]) -> Value {
    let zone = match std::str::from_utf8(zone) {
        Ok("Local") => Some(call.context.local.clone()),
        // A name with `..` could name a file outside of the database of zones.
        Ok(name) if !name.contains("..") && !name.starts_with(['/', '\\']) => Zone::named(name),
        _ => None,
    };
    // Sprig shows the time in UTC if the zone is unknown.
    let time = time_of(call.any(at), call.context).in_zone(zone.unwrap_or(Zone::Utc));
    Value::text(format::format(&time, layout))
}

fn ago(call: &Call<'_>) -> Answer {
    let now = call.context.now();
    let elapsed = now.since(&time_of(call.any(0), call.context));
    Ok(Value::from(duration::to_string(duration::to_seconds(elapsed))))
}

fn must_modify(call: &Call<'_>) -> Answer {
    let nanos = duration::parse(&String::from_utf8_lossy(call.str(0)))?;
    Ok(Value::Time(call.time(1).add(nanos)))
}

fn modify(call: &Call<'_>) -> Answer {
    // The function without `must` returns the unchanged time after an error.
    Ok(must_modify(call).unwrap_or_else(|_| Value::Time(call.time(1))))
}

fn seconds_to_duration(call: &Call<'_>) -> Answer {
    // Sprig accepts only strings and `int64`. A value of another type counts as zero seconds.
    let seconds = match call.any(0) {
        Value::String(_) => parse_seconds(call.str(0)),
        Value::Integer(Integer { kind: IntegerKind::Int64, bits }) => *bits,
        _ => 0,
    };
    Ok(Value::from(duration::to_string(seconds.wrapping_mul(1_000_000_000))))
}

fn parse_seconds(text: &[u8]) -> i64 {
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn round(call: &Call<'_>) -> Answer {
    let nanos = match call.any(0) {
        Value::String(text) => duration::parse(&text.to_string_lossy()).unwrap_or(0),
        Value::Integer(Integer { kind: IntegerKind::Int64, bits }) => *bits,
        Value::Time(time) => call.context.now().since(time),
        _ => 0,
    };
    Ok(Value::from(duration::round(nanos)))
}

fn parse_date(call: &Call<'_>) -> Result<Time, String> {
    parse(call.str(0), call.str(1), &call.context.local)
}
