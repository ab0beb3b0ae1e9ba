//! Parsers of the values of flags.

use std::time::Duration;

use oras::remote::HttpVersion;
use oras::spec::Platform;
use oras::spec::platform::PlatformError;

use crate::failure::Failure;

/// Parses a Boolean like Go's `strconv.ParseBool`.
pub(crate) fn go_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!("strconv.ParseBool: parsing {text:?}: invalid syntax")),
    }
}

/// Parses an integer like Go's `strconv.ParseInt` with base 0: also `0x1f`, `0o17`, `0b11`, `017`, `1_000`.
pub(crate) fn go_int(text: &str) -> Result<i64, String> {
    let failed = |what: &str| format!("strconv.ParseInt: parsing {text:?}: {what}");
    let (sign, digits) = match text.strip_prefix(['-', '+']) {
        Some(digits) => (if text.starts_with('-') { "-" } else { "" }, digits),
        None => ("", text),
    };
    let lower = digits.to_ascii_lowercase();
    let prefixed = |prefix: &str| lower.strip_prefix(prefix).filter(|rest| !rest.is_empty());
    // The prefixes with a letter come first, because each also begins with the `0` of an octal number.
    let (base, body) = match (prefixed("0x"), prefixed("0o"), prefixed("0b"), prefixed("0")) {
        (Some(rest), ..) => (16, rest),
        (_, Some(rest), ..) => (8, rest),
        (_, _, Some(rest), _) => (2, rest),
        (.., Some(rest)) => (8, rest),
        _ => (10, lower.as_str()),
    };
    // Go allows an underscore only between digits and after the prefix.
    let misplaced = body.ends_with('_') || body.contains("__") || (base == 10 && body.starts_with('_'));
    let body = body.replace('_', "");
    if misplaced || body.is_empty() || !body.chars().all(|digit| digit.is_digit(base)) {
        return Err(failed("invalid syntax"));
    }
    i64::from_str_radix(&format!("{sign}{body}"), base).map_err(|_| failed("value out of range"))
}

/// Parses a version of HTTP.
pub(crate) fn http_version(text: &str) -> Result<HttpVersion, String> {
    match text {
        "1" | "1.1" => Ok(HttpVersion::Http1),
        "2" | "2.0" => Ok(HttpVersion::Http2),
        _ => Err(format!("unknown version of HTTP: {text}\nAvailable options: 1.1, 2")),
    }
}

/// Parses a timeout, which must not be zero.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    // A longer timeout has no effect, and adding it to a time could overflow.
    const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);
    match period(text)? {
        Duration::ZERO => Err(format!("invalid duration {text:?}: expecting for example 30s or 2m")),
        period => Ok(period.min(LONGEST)),
    }
}

/// Parses a duration such as `30s`, `1m30s`, `500ms` or `1.5h` like Go, and also `7d` and a number of seconds.
pub(crate) fn period(text: &str) -> Result<Duration, String> {
    let invalid = || format!("invalid duration {text:?}: expecting for example 30s or 2m");
    let (mut rest, mut total) = (text, Duration::ZERO);
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(end);
        let end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let seconds = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 24.0 * 3600.0,
            // A number without a unit is a number of seconds only if it is the whole text: `1m30` is ambiguous.
            "" if number.len() == text.len() => 1.0,
            _ => return Err(invalid()),
        };
        let number: f64 = number.parse().map_err(|_| invalid())?;
        let part = Duration::try_from_secs_f64(number * seconds).map_err(|_| invalid())?;
        total = total.checked_add(part).ok_or_else(invalid)?;
        rest = after;
    }
    if text.is_empty() { Err(invalid()) } else { Ok(total) }
}

/// Parses a size such as `4194304`, `16MiB`, `16M`, `1.5 GiB` or `2GB`. A single letter is a binary unit, as in `dd`.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let invalid = || format!("invalid size {text:?}: expecting for example 16MiB");
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "kb" => 1000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        _ => return Err(invalid()),
    };
    match number.split_once('.') {
        // Integers are not parsed as floating-point numbers, which are inexact above 2^53.
        None => {
            let number: u64 = number.parse().map_err(|_| invalid())?;
            number.checked_mul(factor).filter(|size| *size > 0).ok_or_else(invalid)
        }
        // Limiting the fraction to three digits keeps the arithmetic exact.
        Some((whole, fraction)) if (1..=3).contains(&fraction.len()) => {
            let scale = 10_u64.pow(u32::try_from(fraction.len()).unwrap_or(1));
            let digits: u64 = format!("{whole}{fraction}").parse().map_err(|_| invalid())?;
            digits.checked_mul(factor).map(|size| size / scale).filter(|size| *size > 0).ok_or_else(invalid)
        }
        Some(_) => Err(invalid()),
    }
}

/// Returns the value of `--concurrency`, or `default` if the flag is not given. A negative value becomes 0.
pub(crate) fn count(given: Option<i64>, default: usize) -> usize {
    given.map_or(default, |count| usize::try_from(count).unwrap_or(0))
}

/// Returns `None` for an empty text, which the Go tool treats like a missing flag.
pub(crate) fn non_empty(text: Option<&String>) -> Option<&str> {
    text.map(String::as_str).filter(|text| !text.is_empty())
}

/// Parses a platform. An empty text means no platform.
pub(crate) fn platform(given: Option<&String>) -> Result<Option<Platform>, Failure> {
    let parse = |text: &str| text.parse().map_err(|error: PlatformError| Failure::new(error.to_string()));
    non_empty(given).map(parse).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_durations() {
        for (text, milliseconds) in [
            ("30s", 30_000),
            ("2m", 120_000),
            ("1m30s", 90_000),
            ("250ms", 250),
            ("1.5h", 5_400_000),
            ("1d1h", 90_000_000),
            ("45", 45_000),
            ("999999h", 604_800_000),
        ] {
            assert_eq!(duration(text).unwrap(), Duration::from_millis(milliseconds), "{text}");
        }
        for text in ["", "0", "0s", "-1s", "s", "1x", "1m30", "1..s", "9e9s", "1s ", "999999999999999999999h"]
        {
            assert!(duration(text).unwrap_err().starts_with("invalid duration"), "{text}");
        }
    }

    #[test]
    fn parses_sizes() {
        for (text, bytes) in [
            ("4194304", 4 << 20),
            ("16MiB", 16 << 20),
            ("16m", 16 << 20),
            ("1.5 GiB", 3 << 29),
            ("2KB", 2000),
            ("0.5k", 512),
            ("7B", 7),
        ] {
            assert_eq!(size(text).unwrap(), bytes, "{text}");
        }
        for text in ["", "0", "-1", "MiB", "1XB", "1.2345M", "1.", "99999999999999999999", "99999999999G"] {
            assert!(size(text).unwrap_err().starts_with("invalid size"), "{text}");
        }
    }

    #[test]
    fn parses_numbers_like_go() {
        for (text, number) in [
            ("5", 5),
            ("-1", -1),
            ("+7", 7),
            ("0x1F", 31),
            ("017", 15),
            ("0o17", 15),
            ("0b11", 3),
            ("1_000", 1000),
            ("0_7", 7),
            ("0", 0),
        ] {
            assert_eq!(go_int(text), Ok(number), "{text}");
        }
        for text in ["", "abc", "-", "1__0", "_1", "1_", "08", "0x", "1.5", " 1"] {
            assert!(go_int(text).unwrap_err().ends_with("invalid syntax"), "{text}");
        }
        assert!(go_int("9223372036854775808").unwrap_err().ends_with("value out of range"));
    }
}
