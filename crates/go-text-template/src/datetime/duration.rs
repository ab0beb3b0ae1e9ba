//! Parses and formats Go's durations, which are nanoseconds.
//!
//! The parser is written by hand, because its error messages must equal Go's.

use crate::strings::quote::quote;

const SECOND: u64 = 1_000_000_000;

/// Parses a duration such as `1h30m`, `-1.5s` or `0`.
pub(crate) fn parse(text: &str) -> Result<i64, String> {
    let problem = |what: &str| format!("time: {what} {}", quote(text.as_bytes()));
    let invalid = || problem("invalid duration");
    let negative = text.starts_with('-');
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    // Zero is the only number without a unit.
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let whole = take_digits(&mut rest);
        let mut fraction = "";
        if let Some(after) = rest.strip_prefix('.') {
            rest = after;
            fraction = take_digits(&mut rest);
        }
        if whole.is_empty() && fraction.is_empty() {
            return Err(invalid());
        }
        let unit_end = rest.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(rest.len());
        let (name, after) = rest.split_at(unit_end);
        rest = after;
        if name.is_empty() {
            return Err(problem("missing unit in duration"));
        }
        let unit = unit(name)
            .ok_or_else(|| problem(&format!("unknown unit {} in duration", quote(name.as_bytes()))))?;
        let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| invalid())? };
        // Go multiplies the fraction in floating point. This code does the same, so that the nanoseconds are equal.
        let fraction: f64 = format!("0.{fraction}").parse().unwrap_or(0.0);
        let part = whole.checked_mul(unit).and_then(|part| part.checked_add((fraction * unit as f64) as u64));
        total =
            part.and_then(|part| total.checked_add(part)).filter(|&t| t <= 1 << 63).ok_or_else(invalid)?;
    }
    // The smallest duration has no positive counterpart, so the sign is applied last.
    if negative {
        return Ok((total as i64).wrapping_neg());
    }
    i64::try_from(total).map_err(|_| invalid())
}

fn take_digits<'t>(rest: &mut &'t str) -> &'t str {
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (digits, after) = rest.split_at(end);
    *rest = after;
    digits
}

fn unit(name: &str) -> Option<u64> {
    Some(match name {
        "ns" => 1,
        // Unicode has two equal-looking characters for this unit: the micro sign and the Greek letter mu.
        "us" | "µs" | "μs" => 1000,
        "ms" => 1_000_000,
        "s" => SECOND,
        "m" => 60 * SECOND,
        "h" => 3600 * SECOND,
        _ => return None,
    })
}

/// Formats a duration, such as `1h30m0s`, `1.5s` or `2ms`.
pub(crate) fn to_string(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let magnitude = nanos.unsigned_abs();
    if magnitude == 0 {
        return "0s".to_owned();
    }
    if magnitude < SECOND {
        let (unit, name) = match magnitude {
            0..1000 => (1, "ns"),
            1000..1_000_000 => (1000, "µs"),
            _ => (1_000_000, "ms"),
        };
        return format!("{sign}{}{name}", with_fraction(magnitude, unit));
    }
    let seconds = with_fraction(magnitude % (60 * SECOND), SECOND);
    let minutes = magnitude / (60 * SECOND);
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{sign}{seconds}s"),
        (0, minutes) => format!("{sign}{minutes}m{seconds}s"),
        (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds}s"),
    }
}

/// Divides a number by a power of ten and returns the exact decimal fraction.
fn with_fraction(number: u64, unit: u64) -> String {
    let digits = unit.ilog10() as usize;
    let text = format!("{}.{:0digits$}", number / unit, number % unit);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Rounds a duration down to the largest unit that it exceeds, such as `2d`.
pub(crate) fn round(nanos: i64) -> String {
    const HOUR: u64 = 3600 * SECOND;
    let units = [
        (365 * 24 * HOUR, "y"),
        (30 * 24 * HOUR, "mo"),
        (24 * HOUR, "d"),
        (HOUR, "h"),
        (60 * SECOND, "m"),
        (SECOND, "s"),
    ];
    let magnitude = nanos.unsigned_abs();
    let unit = units.into_iter().find(|(unit, _)| magnitude > *unit);
    unit.map_or_else(|| "0s".to_owned(), |(unit, name)| format!("{}{name}", magnitude / unit))
}

/// Rounds a duration to whole seconds, halves away from zero.
pub(crate) fn to_seconds(nanos: i64) -> i64 {
    let second = SECOND as i64;
    let (whole, rest) = (nanos / second, nanos % second);
    let step = if rest.abs() * 2 >= second { rest.signum() } else { 0 };
    (whole + step).saturating_mul(second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_and_formats() {
        for (text, expected) in [
            ("1h30m", "1h30m0s"),
            ("1.5s", "1.5s"),
            ("-90s", "-1m30s"),
            ("0", "0s"),
            ("1500us", "1.5ms"),
            (".5h", "30m0s"),
        ] {
            assert_eq!(to_string(parse(text).unwrap()), expected);
        }
        assert_eq!(parse("1x").unwrap_err(), "time: unknown unit \"x\" in duration \"1x\"");
        assert_eq!(to_seconds(1_500_000_000), 2_000_000_000);
    }
}
