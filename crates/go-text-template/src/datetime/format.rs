//! Formats times by Go's layouts.

use crate::datetime::calendar::{month_name, weekday_name};
use crate::datetime::layout::{LayoutPart, OffsetForm, next_part};
use crate::datetime::time::{Civil, Time};

/// Formats a time by a layout.
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

fn format_part(civil: &Civil, part: LayoutPart) -> String {
    // Hours 0 and 12 are both shown as 12.
    let hour12 = (civil.hour + 11) % 12 + 1;
    let month = month_name(civil.month.into());
    let weekday = weekday_name(civil.weekday.into());
    match part {
        LayoutPart::LongMonth => month,
        LayoutPart::Month => month[..3].to_owned(),
        LayoutPart::MonthNumber => civil.month.to_string(),
        LayoutPart::MonthTwo => format!("{:02}", civil.month),
        LayoutPart::LongWeekday => weekday,
        LayoutPart::Weekday => weekday[..3].to_owned(),
        LayoutPart::Day => civil.day.to_string(),
        LayoutPart::DayBlank => format!("{:2}", civil.day),
        LayoutPart::DayTwo => format!("{:02}", civil.day),
        LayoutPart::YearDayBlank => format!("{:3}", civil.year_day),
        LayoutPart::YearDayThree => format!("{:03}", civil.year_day),
        LayoutPart::Hour => format!("{:02}", civil.hour),
        LayoutPart::Hour12 => hour12.to_string(),
        LayoutPart::Hour12Two => format!("{hour12:02}"),
        LayoutPart::Minute => civil.minute.to_string(),
        LayoutPart::MinuteTwo => format!("{:02}", civil.minute),
        LayoutPart::Second => civil.second.to_string(),
        LayoutPart::SecondTwo => format!("{:02}", civil.second),
        LayoutPart::Year if civil.year < 0 => format!("-{:04}", civil.year.unsigned_abs()),
        LayoutPart::Year => format!("{:04}", civil.year),
        LayoutPart::YearTwo => format!("{:02}", civil.year.rem_euclid(100)),
        LayoutPart::Noon => if civil.hour >= 12 { "PM" } else { "AM" }.to_owned(),
        LayoutPart::NoonLower => if civil.hour >= 12 { "pm" } else { "am" }.to_owned(),
        LayoutPart::Zone if !civil.zone.is_empty() => civil.zone.to_string(),
        // A zone without an abbreviation is shown as its offset.
        LayoutPart::Zone => {
            let form = OffsetForm { has_zulu: false, has_colons: false, parts: 2 };
            format_offset(civil.offset, form)
        }
        LayoutPart::Offset(form) => format_offset(civil.offset, form),
        LayoutPart::Fraction { comma, digits, fixed } => format_fraction(civil.nanos, comma, digits, fixed),
    }
}

fn format_offset(offset: i32, form: OffsetForm) -> String {
    if form.has_zulu && offset == 0 {
        return "Z".to_owned();
    }
    let sign = if offset < 0 { '-' } else { '+' };
    let offset = offset.unsigned_abs();
    let colon = if form.has_colons { ":" } else { "" };
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
    // The layout `.999` omits trailing zeros, and the point if no digit remains. The layout `.000` keeps all digits.
    if !fixed {
        shown.truncate(shown.trim_end_matches('0').len());
        if shown.is_empty() {
            return shown;
        }
    }
    format!("{}{shown}", if comma { ',' } else { '.' })
}

/// Formats a time as Go's method `String` does.
pub(crate) fn to_string(time: &Time) -> String {
    let text = format(time, b"2006-01-02 15:04:05.999999999 -0700 MST");
    String::from_utf8_lossy(&text).into_owned()
}

/// Formats a time as Go's method `GoString` does, which `%#v` prints.
pub(crate) fn go_string(time: &Time) -> String {
    let civil = time.civil();
    let month = month_name(civil.month.into());
    let zone = time.zone.go_syntax();
    let Civil { year, day, hour, minute, second, nanos, .. } = civil;
    format!("time.Date({year}, time.{month}, {day}, {hour}, {minute}, {second}, {nanos}, {zone})")
}

/// Formats a time by RFC 3339, as Go's JSON does.
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
    fn formats_by_layout() {
        assert_eq!(show("Mon Jan _2 15:04:05 2006"), "Mon Jan  2 22:04:05 2006");
        assert_eq!(show("Month Janet"), "Month Janet");
        assert_eq!(show("3:04PM .000 .99 .9a"), "10:04PM .120 .12 .1a");
        assert_eq!(show("Z07:00 -07:00 -0700 MST"), "Z +00:00 +0000 UTC");
        assert_eq!(show("002 __2 _2006"), "002   2 _2006");
    }
}
