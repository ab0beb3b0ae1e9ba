//! The annotation `org.opencontainers.image.created`, which is a time in the format of RFC 3339.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use jiff::Timestamp;
use oras_spec::annotation;
use oras_store::{Error, ErrorKind, Result};

/// The elements of the time format, in the notation of Go. Error messages quote them, see [`check_rfc3339`].
const LAYOUT: [&str; 12] = ["2006", "-", "01", "-", "02", "T", "15", ":", "04", ":", "05", "Z07:00"];
/// The name and the range of each numeric element. The year has no range: every number of four digits is a year.
const RANGES: [(&str, &str, RangeInclusive<u32>); 5] = [
    ("01", "month", 1..=12),
    ("02", "day", 1..=31),
    ("15", "hour", 0..=23),
    ("04", "minute", 0..=59),
    ("05", "second", 0..=59),
];

/// Sets the annotation to the current time in UTC, in seconds. If it is already set, checks that it is a valid time.
pub(crate) fn set_or_check(annotations: &mut BTreeMap<String, String>) -> Result<()> {
    if let Some(given) = annotations.get(annotation::CREATED) {
        return check_rfc3339(given).map_err(|reason| {
            let message = format!("invalid date and time format: parsing time {given:?}{reason}");
            Error::new(ErrorKind::InvalidInput, message)
        });
    }
    // Whole seconds, as the Go tool writes them.
    let now = Timestamp::from_second(Timestamp::now().as_second())
        .map_err(|error| Error::new(ErrorKind::Other, "the clock is out of range").with_source(error))?;
    annotations.insert(annotation::CREATED.to_owned(), now.to_string());
    Ok(())
}

/// Checks that `text` is a time in the format of RFC 3339.
///
/// The error is the end of a message that begins with `parsing time "…"`. It has the words of Go's `time.Parse`,
/// because scripts match them.
fn check_rfc3339(text: &str) -> Result<(), String> {
    let mut rest = text;
    let mut day_error = None;
    for element in LAYOUT {
        let mismatch = || format!(" as {:?}: cannot parse {rest:?} as {element:?}", LAYOUT.concat());
        let length = match element {
            "Z07:00" => zone_length(rest).ok_or_else(mismatch)?,
            _ if element.starts_with(|c: char| c.is_ascii_digit()) => {
                let digits = rest.as_bytes().get(..element.len()).ok_or_else(mismatch)?;
                // As in Go, an hour may have one digit.
                let digits =
                    if element == "15" && !digits[1].is_ascii_digit() { &digits[..1] } else { digits };
                if !digits.iter().all(u8::is_ascii_digit) {
                    return Err(mismatch());
                }
                // All bytes are digits, so the number always parses.
                let number: u32 = rest.get(..digits.len()).and_then(|d| d.parse().ok()).unwrap_or(0);
                if let Some((_, name, range)) = RANGES.iter().find(|(of, ..)| *of == element)
                    && !range.contains(&number)
                {
                    let error = format!(": {name} out of range");
                    // Go checks the day after all other elements. A number out of range in another element ends the
                    // parsing.
                    if *name != "day" {
                        return Err(error);
                    }
                    day_error = Some(error);
                }
                let fraction = if element == "05" { fraction_length(&rest[digits.len()..]) } else { 0 };
                digits.len() + fraction
            }
            _ if rest.starts_with(element) => element.len(),
            _ => return Err(mismatch()),
        };
        rest = &rest[length..];
    }
    if !rest.is_empty() {
        return Err(format!(": extra text: {rest:?}"));
    }
    match day_error {
        Some(day_error) => Err(day_error),
        // All elements are in range, so the month does not have this day.
        None => text.parse::<Timestamp>().map(drop).map_err(|_| ": day out of range".to_owned()),
    }
}

/// Returns the length of the fraction of a second at the start of `text`; 0 if there is none.
fn fraction_length(text: &str) -> usize {
    let digits = text.get(1..).map_or(0, |rest| rest.bytes().take_while(u8::is_ascii_digit).count());
    if text.starts_with(['.', ',']) && digits > 0 { digits + 1 } else { 0 }
}

/// Returns the length of the time zone at the start of `text`: `Z`, `+hh:mm` or `-hh:mm`.
fn zone_length(text: &str) -> Option<usize> {
    if text.starts_with('Z') {
        return Some(1);
    }
    let bytes = text.as_bytes().get(..6)?;
    let digits = [1, 2, 4, 5].into_iter().all(|at| bytes[at].is_ascii_digit());
    (matches!(bytes[0], b'+' | b'-') && bytes[3] == b':' && digits).then_some(6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_invalid_times_in_the_words_of_go() {
        let layout = " as \"2006-01-02T15:04:05Z07:00\": cannot parse ";
        for (text, error) in [
            ("2026-01-01T00:00:00Z", None),
            ("2026-01-01T00:00:00.123+02:00", None),
            ("bad", Some(format!("{layout}\"bad\" as \"2006\""))),
            ("2026-01-01", Some(format!("{layout}\"\" as \"T\""))),
            ("2026-01-01T00:00:00", Some(format!("{layout}\"\" as \"Z07:00\""))),
            ("2026-13-01T00:00:00Z", Some(": month out of range".to_owned())),
            ("2026-02-30T00:00:00Z", Some(": day out of range".to_owned())),
            ("2026-01-01T24:00:00Z", Some(": hour out of range".to_owned())),
            ("2026-01-01T00:00:00Zx", Some(": extra text: \"x\"".to_owned())),
            ("", Some(format!("{layout}\"\" as \"2006\""))),
        ] {
            assert_eq!(check_rfc3339(text).err(), error, "{text}");
        }
    }
}
