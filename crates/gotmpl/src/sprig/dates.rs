//! Dates and durations.

use crate::call::Type::{Any, Str, Time as TimeType};
use crate::call::{Answer, Call, Function, function};
use crate::context::Context;
use crate::layout;
use crate::sprig::duration;
use crate::sprig::parse_time;
use crate::time::{Time, Zone};
use crate::value::{Integer, IntegerKind, Value};

pub(crate) const FUNCTIONS: &[Function] = &[
    function("now", &[], |call| Ok(Value::Time(call.context.now()))),
    function("ago", &[Any], ago),
    function("date", &[Str, Any], |call| Ok(format(call, call.str(0), 1, b"Local"))),
    function("date_in_zone", &[Str, Any, Str], |call| Ok(format(call, call.str(0), 1, call.str(2)))),
    function("dateInZone", &[Str, Any, Str], |call| Ok(format(call, call.str(0), 1, call.str(2)))),
    function("htmlDate", &[Any], |call| Ok(format(call, HTML, 0, b"Local"))),
    function("htmlDateInZone", &[Any, Str], |call| Ok(format(call, HTML, 0, call.str(1)))),
    function("date_modify", &[Str, TimeType], modify),
    function("dateModify", &[Str, TimeType], modify),
    function("must_date_modify", &[Str, TimeType], must_modify),
    function("mustDateModify", &[Str, TimeType], must_modify),
    function("duration", &[Any], seconds_to_duration),
    function("durationRound", &[Any], round),
    function("toDate", &[Str, Str], |call| Ok(Value::Time(parse(call).unwrap_or(Time::ZERO)))),
    function("mustToDate", &[Str, Str], |call| parse(call).map(Value::Time)),
    function("unixEpoch", &[TimeType], |call| Ok(Value::from(call.time(0).seconds.to_string()))),
];

const HTML: &[u8] = b"2006-01-02";

/// A time, or seconds since 1970; of anything else, now.
fn time_of(value: &Value, context: &Context) -> Time {
    match value {
        Value::Time(time) => time.clone(),
        Value::Int(seconds) | Value::Integer(Integer { kind: IntegerKind::Int64, bits: seconds }) => {
            Time { seconds: *seconds, nanos: 0, zone: context.local.clone() }
        }
        _ => context.now(),
    }
}

fn format(call: &Call<'_>, layout: &[u8], at: usize, zone: &[u8]) -> Value {
    let zone = match std::str::from_utf8(zone) {
        Ok("Local") => Some(call.context.local.clone()),
        // No way out of the database of zones.
        Ok(name) if !name.contains("..") && !name.starts_with(['/', '\\']) => Zone::named(name),
        _ => None,
    };
    let time = time_of(call.any(at), call.context).in_zone(zone.unwrap_or(Zone::Utc));
    Value::text(layout::format(&time, layout))
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
    Ok(must_modify(call).unwrap_or_else(|_| Value::Time(call.time(1))))
}

fn seconds_to_duration(call: &Call<'_>) -> Answer {
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

fn parse(call: &Call<'_>) -> Result<Time, String> {
    parse_time::parse(call.str(0), call.str(1), &call.context.local)
}
