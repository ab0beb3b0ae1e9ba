//! Times as text, in Go's layouts.

use crate::quote::quote;
use crate::time::{Civil, Time, Zone};

pub(crate) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

pub(crate) const WEEKDAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

pub(crate) fn month_name(month: i64) -> String {
    let name = usize::try_from(month - 1).ok().and_then(|index| MONTHS.get(index));
    name.map_or_else(|| format!("%!Month({month})"), |name| (*name).to_owned())
}

pub(crate) fn weekday_name(day: i64) -> String {
    let name = usize::try_from(day).ok().and_then(|index| WEEKDAYS.get(index));
    name.map_or_else(|| format!("%!Weekday({day})"), |name| (*name).to_owned())
}

/// A part of a layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    LongMonth,
    Month,
    MonthNumber,
    MonthTwo,
    LongWeekday,
    Weekday,
    Day,
    DayBlank,
    DayTwo,
    YearDayBlank,
    YearDayThree,
    Hour,
    Hour12,
    Hour12Two,
    Minute,
    MinuteTwo,
    Second,
    SecondTwo,
    Year,
    YearTwo,
    Noon,
    NoonLower,
    Zone,
    /// An offset; how it is written.
    Offset(OffsetForm),
    /// A fraction of so many digits after a point or comma; whether trailing zeros are kept.
    Fraction {
        comma: bool,
        digits: usize,
        fixed: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OffsetForm {
    /// `Z` stands for UTC.
    pub(crate) zulu: bool,
    pub(crate) colons: bool,
    /// Hours, or minutes and seconds in addition.
    pub(crate) parts: u8,
}

const fn offset(zulu: bool, colons: bool, parts: u8) -> Part {
    Part::Offset(OffsetForm { zulu, colons, parts })
}

/// What layouts are made of; of two that fit, the first counts.
const PARTS: &[(&str, Part)] = &[
    ("January", Part::LongMonth),
    ("Jan", Part::Month),
    ("Monday", Part::LongWeekday),
    ("Mon", Part::Weekday),
    ("MST", Part::Zone),
    ("002", Part::YearDayThree),
    ("01", Part::MonthTwo),
    ("02", Part::DayTwo),
    ("03", Part::Hour12Two),
    ("04", Part::MinuteTwo),
    ("05", Part::SecondTwo),
    ("06", Part::YearTwo),
    ("15", Part::Hour),
    ("1", Part::MonthNumber),
    ("2006", Part::Year),
    ("2", Part::Day),
    ("__2", Part::YearDayBlank),
    ("_2", Part::DayBlank),
    ("3", Part::Hour12),
    ("4", Part::Minute),
    ("5", Part::Second),
    ("PM", Part::Noon),
    ("pm", Part::NoonLower),
    ("-070000", offset(false, false, 3)),
    ("-07:00:00", offset(false, true, 3)),
    ("-0700", offset(false, false, 2)),
    ("-07:00", offset(false, true, 2)),
    ("-07", offset(false, false, 1)),
    ("Z070000", offset(true, false, 3)),
    ("Z07:00:00", offset(true, true, 3)),
    ("Z0700", offset(true, false, 2)),
    ("Z07:00", offset(true, true, 2)),
    ("Z07", offset(true, false, 1)),
];

/// The text before the first part of a layout, that part, and what follows it.
pub(crate) fn next_part(layout: &[u8]) -> Option<(&[u8], Part, &[u8])> {
    for at in 0..layout.len() {
        let rest = &layout[at..];
        if rest.starts_with(b"_2006") {
            // A blank, then the year.
            return Some((&layout[..=at], Part::Year, &rest[5..]));
        }
        if rest.starts_with(b"Jan") || rest.starts_with(b"Mon") {
            let long = rest.starts_with(b"January") || rest.starts_with(b"Monday");
            // A longer word is not the name of a month or day: "Month".
            if !long && rest.get(3).is_some_and(u8::is_ascii_lowercase) {
                continue;
            }
        }
        if let Some((part, length)) = fraction(rest) {
            return Some((&layout[..at], part, &rest[length..]));
        }
        if let Some((text, part)) = PARTS.iter().find(|(text, _)| rest.starts_with(text.as_bytes())) {
            return Some((&layout[..at], *part, &rest[text.len()..]));
        }
    }
    None
}

/// `.000` or `,999` that no digit follows.
fn fraction(rest: &[u8]) -> Option<(Part, usize)> {
    let comma = match rest.first()? {
        b'.' => false,
        b',' => true,
        _ => return None,
    };
    let digit = *rest.get(1).filter(|digit| matches!(digit, b'0' | b'9'))?;
    let digits = rest[1..].iter().take_while(|&&byte| byte == digit).count();
    if rest.get(1 + digits).is_some_and(u8::is_ascii_digit) {
        return None;
    }
    Some((Part::Fraction { comma, digits, fixed: digit == b'0' }, 1 + digits))
}

/// Formats a time in a layout.
pub(crate) fn format(time: &Time, layout: &[u8]) -> Vec<u8> {
    let civil = time.civil();
    let mut out = Vec::new();
    let mut rest = layout;
    while let Some((before, part, after)) = next_part(rest) {
        out.extend_from_slice(before);
        out.extend_from_slice(format_part(&civil, part).as_bytes());
        rest = after;
    }
    out.extend_from_slice(rest);
    out
}

fn format_part(civil: &Civil, part: Part) -> String {
    let hour12 = (civil.hour + 11) % 12 + 1;
    let month = month_name(civil.month.into());
    let weekday = weekday_name(civil.weekday.into());
    match part {
        Part::LongMonth => month,
        Part::Month => month[..3].to_owned(),
        Part::MonthNumber => civil.month.to_string(),
        Part::MonthTwo => format!("{:02}", civil.month),
        Part::LongWeekday => weekday,
        Part::Weekday => weekday[..3].to_owned(),
        Part::Day => civil.day.to_string(),
        Part::DayBlank => format!("{:2}", civil.day),
        Part::DayTwo => format!("{:02}", civil.day),
        Part::YearDayBlank => format!("{:3}", civil.year_day),
        Part::YearDayThree => format!("{:03}", civil.year_day),
        Part::Hour => format!("{:02}", civil.hour),
        Part::Hour12 => hour12.to_string(),
        Part::Hour12Two => format!("{hour12:02}"),
        Part::Minute => civil.minute.to_string(),
        Part::MinuteTwo => format!("{:02}", civil.minute),
        Part::Second => civil.second.to_string(),
        Part::SecondTwo => format!("{:02}", civil.second),
        Part::Year if civil.year < 0 => format!("-{:04}", civil.year.unsigned_abs()),
        Part::Year => format!("{:04}", civil.year),
        Part::YearTwo => format!("{:02}", civil.year.rem_euclid(100)),
        Part::Noon => if civil.hour >= 12 { "PM" } else { "AM" }.to_owned(),
        Part::NoonLower => if civil.hour >= 12 { "pm" } else { "am" }.to_owned(),
        Part::Zone if !civil.zone.is_empty() => civil.zone.to_string(),
        Part::Zone => {
            let form = OffsetForm { zulu: false, colons: false, parts: 2 };
            format_offset(civil.offset, form)
        }
        Part::Offset(form) => format_offset(civil.offset, form),
        Part::Fraction { comma, digits, fixed } => format_fraction(civil.nanos, comma, digits, fixed),
    }
}

fn format_offset(offset: i32, form: OffsetForm) -> String {
    if form.zulu && offset == 0 {
        return "Z".to_owned();
    }
    let sign = if offset < 0 { '-' } else { '+' };
    let offset = offset.unsigned_abs();
    let colon = if form.colons { ":" } else { "" };
    let mut text = format!("{sign}{:02}", offset / 3600);
    if form.parts > 1 {
        text.push_str(&format!("{colon}{:02}", offset / 60 % 60));
    }
    if form.parts > 2 {
        text.push_str(&format!("{colon}{:02}", offset % 60));
    }
    text
}

fn format_fraction(nanos: u32, comma: bool, digits: usize, fixed: bool) -> String {
    let all = format!("{nanos:09}");
    let mut shown: String = all.chars().chain(std::iter::repeat('0')).take(digits).collect();
    if !fixed {
        shown.truncate(shown.trim_end_matches('0').len());
        if shown.is_empty() {
            return shown;
        }
    }
    format!("{}{shown}", if comma { ',' } else { '.' })
}

/// As a time prints itself.
pub(crate) fn to_string(time: &Time) -> String {
    let text = format(time, b"2006-01-02 15:04:05.999999999 -0700 MST");
    String::from_utf8_lossy(&text).into_owned()
}

/// As a time prints itself under `%#v`.
pub(crate) fn go_string(time: &Time) -> String {
    let civil = time.civil();
    let month = month_name(civil.month.into());
    let zone = match &time.zone {
        Zone::Utc => "time.UTC".to_owned(),
        Zone::Local => "time.Local".to_owned(),
        Zone::Fixed(_, name) => format!("time.Location({})", quote(name.as_bytes())),
        Zone::Named(zone) => format!("time.Location({})", quote(zone.iana_name().unwrap_or("").as_bytes())),
    };
    let Civil { year, day, hour, minute, second, nanos, .. } = civil;
    format!("time.Date({year}, time.{month}, {day}, {hour}, {minute}, {second}, {nanos}, {zone})")
}

/// As JSON has it.
pub(crate) fn to_rfc3339(time: &Time) -> String {
    let text = format(time, b"2006-01-02T15:04:05.999999999Z07:00");
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(layout: &str) -> String {
        let time = Time { seconds: 1_136_239_445, nanos: 120_000_000, ..Time::ZERO };
        String::from_utf8(format(&time, layout.as_bytes())).unwrap()
    }

    #[test]
    fn formats() {
        assert_eq!(show("Mon Jan _2 15:04:05 2006"), "Mon Jan  2 22:04:05 2006");
        assert_eq!(show("Month Janet"), "Month Janet");
        assert_eq!(show("3:04PM .000 .99 .9a"), "10:04PM .120 .12 .1a");
        assert_eq!(show("Z07:00 -07:00 -0700 MST"), "Z +00:00 +0000 UTC");
        assert_eq!(show("002 __2 _2006"), "002   2 _2006");
    }
}
