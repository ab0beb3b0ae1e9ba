//! Parses times by Go's layouts.

use crate::datetime::calendar::{MONTHS, WEEKDAYS, days_in_month, to_days};
use crate::datetime::layout::{LayoutPart, OffsetForm, next_part};
use crate::datetime::time::Time;
use crate::datetime::zone::Zone;

/// Parses a time by a layout. The time is in the zone `local` if the text contains no zone.
///
/// # Errors
/// Go's message if the text does not match the layout or a number is out of range.
pub(crate) fn parse(layout: &[u8], text: &[u8], local: &Zone) -> Result<Time, String> {
    let mut fields = Fields::default();
    let mut reader = Reader { rest: text };
    let mut layout_rest = layout;
    let cannot = |rest: &[u8], element: &[u8]| {
        let [text, layout, rest, element] = [text, layout, rest, element].map(quote);
        Err(format!("parsing time {text} as {layout}: cannot parse {rest} as {element}"))
    };
    let wrong = |message: &str| Err(format!("parsing time {}: {message}", quote(text)));
    loop {
        let next = next_part(layout_rest);
        let prefix = next.map_or(layout_rest, |(prefix, _, _)| prefix);
        if !reader.skip(prefix) {
            return cannot(reader.rest, prefix);
        }
        let Some((_, part, after)) = next else {
            break;
        };
        let element = &layout_rest[prefix.len()..layout_rest.len() - after.len()];
        layout_rest = after;
        let held = reader.rest;
        match reader.part(part, after, &mut fields) {
            Ok(()) => {}
            Err(FieldError::Syntax) => return cannot(held, element),
            Err(FieldError::Range(what)) => return wrong(&format!("{what} out of range")),
        }
    }
    if !reader.rest.is_empty() {
        return wrong(&format!("extra text: {}", quote(reader.rest)));
    }
    fields.finish(local).or_else(wrong)
}

/// Quotes a text as Go's `time` package does: bytes outside of ASCII are escaped one by one.
fn quote(text: &[u8]) -> String {
    let mut quoted = String::from('"');
    for &byte in text {
        match byte {
            b'"' | b'\\' => quoted.extend(['\\', char::from(byte)]),
            b' '..=b'~' | 0x7f => quoted.push(char::from(byte)),
            _ => quoted.push_str(&format!("\\x{byte:02x}")),
        }
    }
    quoted.push('"');
    quoted
}

/// An error of reading a field.
enum FieldError {
    Syntax,
    /// The name of the field that is out of range.
    Range(&'static str),
}

/// The values of the fields that were read.
#[derive(Default)]
struct Fields {
    year: i64,
    month: Option<u32>,
    day: Option<u32>,
    year_day: Option<u32>,
    hour: u32,
    minute: u32,
    second: u32,
    nanos: u32,
    /// True for PM, false for AM.
    is_afternoon: Option<bool>,
    is_utc: bool,
    offset: Option<i32>,
    zone: String,
}

impl Fields {
    fn finish(mut self, local: &Zone) -> Result<Time, &'static str> {
        match self.is_afternoon {
            Some(true) if self.hour < 12 => self.hour += 12,
            Some(false) if self.hour == 12 => self.hour = 0,
            _ => {}
        }
        if let Some(year_day) = self.year_day {
            self.take_year_day(year_day)?;
        }
        let (month, day) = (self.month.unwrap_or(1), self.day.unwrap_or(1));
        // The day is checked last, because only now the month and the year are known.
        if day < 1 || day > days_in_month(self.year, month) {
            return Err("day out of range");
        }
        let time_of_day = i64::from(self.hour * 3600 + self.minute * 60 + self.second);
        let seconds = to_days(self.year, month, day) * 86_400 + time_of_day;
        Ok(self.in_zone(seconds, local))
    }

    fn take_year_day(&mut self, year_day: u32) -> Result<(), &'static str> {
        let mut rest = year_day;
        let mut month = 1;
        while month <= 12 && rest > days_in_month(self.year, month) {
            rest -= days_in_month(self.year, month);
            month += 1;
        }
        if year_day < 1 || month > 12 {
            return Err("day-of-year out of range");
        }
        // A layout may contain both forms of the date, which must then agree.
        if self.month.is_some_and(|given| given != month) {
            return Err("day-of-year does not match month");
        }
        if self.day.is_some_and(|given| given != rest) {
            return Err("day-of-year does not match day");
        }
        (self.month, self.day) = (Some(month), Some(rest));
        Ok(())
    }

    /// Converts a wall-clock time, in seconds since 1970, to a time in the parsed zone, or in `local` without a zone.
    fn in_zone(self, seconds: i64, local: &Zone) -> Time {
        let at =
            |offset: i32, zone: Zone| Time { seconds: seconds - i64::from(offset), nanos: self.nanos, zone };
        if self.is_utc {
            return at(0, Zone::Utc);
        }
        if let Some(offset) = self.offset {
            // A time with the offset of the local zone is in the local zone, so that its output has the
            // abbreviation of that zone.
            let (local_offset, name) = local.offset(seconds - i64::from(offset));
            if local_offset == offset && (self.zone.is_empty() || *name == self.zone) {
                return at(offset, local.clone());
            }
            return at(offset, Zone::Fixed(offset, self.zone.as_str().into()));
        }
        // The first lookup treats local time as UTC, so the second one corrects the offset near a change to or from
        // daylight saving time.
        let (first, _) = local.offset(seconds);
        let (offset, name) = local.offset(seconds - i64::from(first));
        if self.zone.is_empty() || *name == self.zone {
            return at(offset, local.clone());
        }
        // An unknown abbreviation has the offset zero, except `GMT-3` and the like.
        let hours = self.zone.strip_prefix("GMT").and_then(|hours| hours.parse::<i32>().ok());
        let named = Zone::Fixed(hours.unwrap_or(0) * 3600, self.zone.as_str().into());
        // Go prints the offset of such a zone, but does not subtract it.
        at(0, named)
    }
}

struct Reader<'t> {
    rest: &'t [u8],
}

impl<'t> Reader<'t> {
    /// Skips literal text of the layout. Returns false if it does not match. A space matches one or more spaces.
    fn skip(&mut self, mut prefix: &[u8]) -> bool {
        while let Some(&first) = prefix.first() {
            if first == b' ' {
                // A space in the layout needs at least one space in the text, except at the end of the text.
                if self.rest.first().is_some_and(|&byte| byte != b' ') {
                    return false;
                }
                prefix = prefix.trim_ascii_start();
                while self.rest.first() == Some(&b' ') {
                    self.rest = &self.rest[1..];
                }
                continue;
            }
            if self.rest.first() != Some(&first) {
                return false;
            }
            prefix = &prefix[1..];
            self.rest = &self.rest[1..];
        }
        true
    }

    fn take(&mut self, count: usize) -> Result<&'t [u8], FieldError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(FieldError::Syntax)?;
        self.rest = rest;
        Ok(taken)
    }

    fn digit_count(&self, most: usize) -> usize {
        self.rest.iter().take(most).take_while(|byte| byte.is_ascii_digit()).count()
    }

    /// Reads a number of up to `most` digits, or of exactly `most` digits if `fixed`.
    fn number(&mut self, most: usize, fixed: bool) -> Result<u32, FieldError> {
        let count = self.digit_count(most);
        if count == 0 || (fixed && count != most) {
            return Err(FieldError::Syntax);
        }
        Ok(decimal(self.take(count)?))
    }

    /// Reads a number of up to two digits. Fails if it exceeds `most`.
    fn limited(&mut self, fixed: bool, most: u32, what: &'static str) -> Result<u32, FieldError> {
        let number = self.number(2, fixed)?;
        if number > most { Err(FieldError::Range(what)) } else { Ok(number) }
    }

    /// Reads one of several names in upper or lower case, or its first `length` letters. Returns its index.
    fn name(&mut self, names: &[&str], length: Option<usize>) -> Result<u32, FieldError> {
        for (index, name) in names.iter().enumerate() {
            let name = &name[..length.unwrap_or(name.len())];
            let start = self.rest.get(..name.len());
            if start.is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes())) {
                self.rest = &self.rest[name.len()..];
                return Ok(index as u32);
            }
        }
        Err(FieldError::Syntax)
    }

    fn part(&mut self, part: LayoutPart, layout_rest: &[u8], fields: &mut Fields) -> Result<(), FieldError> {
        match part {
            LayoutPart::YearTwo => {
                let year = two_digits(self.take(2)?).ok_or(FieldError::Syntax)?;
                // Go follows the Unix epoch: 69 to 99 belong to the 20th century.
                fields.year = if year >= 69 { year + 1900 } else { year + 2000 };
            }
            LayoutPart::Year => fields.year = self.number(4, true)?.into(),
            LayoutPart::Month => fields.month = Some(self.name(&MONTHS, Some(3))? + 1),
            LayoutPart::LongMonth => fields.month = Some(self.name(&MONTHS, None)? + 1),
            LayoutPart::MonthNumber | LayoutPart::MonthTwo => {
                let month = self.limited(part == LayoutPart::MonthTwo, 12, "month")?;
                fields.month = Some(month).filter(|&month| month > 0);
                fields.month.ok_or(FieldError::Range("month"))?;
            }
            LayoutPart::Weekday => drop(self.name(&WEEKDAYS, Some(3))?),
            LayoutPart::LongWeekday => drop(self.name(&WEEKDAYS, None)?),
            LayoutPart::Day | LayoutPart::DayBlank | LayoutPart::DayTwo => {
                self.blanks(usize::from(part == LayoutPart::DayBlank));
                fields.day = Some(self.number(2, part == LayoutPart::DayTwo)?);
            }
            LayoutPart::YearDayBlank | LayoutPart::YearDayThree => {
                self.blanks(if part == LayoutPart::YearDayBlank { 2 } else { 0 });
                fields.year_day = Some(self.number(3, part == LayoutPart::YearDayThree)?);
            }
            LayoutPart::Hour => fields.hour = self.limited(false, 23, "hour")?,
            LayoutPart::Hour12 | LayoutPart::Hour12Two => {
                fields.hour = self.limited(part == LayoutPart::Hour12Two, 12, "hour")?;
            }
            LayoutPart::Minute | LayoutPart::MinuteTwo => {
                fields.minute = self.limited(part == LayoutPart::MinuteTwo, 59, "minute")?;
            }
            LayoutPart::Second | LayoutPart::SecondTwo => {
                fields.second = self.limited(part == LayoutPart::SecondTwo, 59, "second")?;
                // Go accepts a fraction after the seconds even if the layout has none.
                let in_layout = matches!(next_part(layout_rest), Some((_, LayoutPart::Fraction { .. }, _)));
                if !in_layout && self.at_fraction() {
                    fields.nanos = self.fraction(usize::MAX)?;
                }
            }
            LayoutPart::Noon => fields.is_afternoon = Some(self.either(b"AM", b"PM")?),
            LayoutPart::NoonLower => fields.is_afternoon = Some(self.either(b"am", b"pm")?),
            LayoutPart::Offset(form) if form.has_zulu && self.rest.first() == Some(&b'Z') => {
                self.rest = &self.rest[1..];
                fields.is_utc = true;
            }
            LayoutPart::Offset(form) => fields.offset = Some(self.offset(form)?),
            LayoutPart::Zone => self.zone(fields)?,
            LayoutPart::Fraction { digits, fixed: true, .. } => {
                let comma_or_point = matches!(self.rest.first(), Some(b'.' | b','));
                if !comma_or_point || self.rest.len() <= digits {
                    return Err(FieldError::Syntax);
                }
                fields.nanos = self.fraction(digits)?;
            }
            LayoutPart::Fraction { .. } if self.at_fraction() => fields.nanos = self.fraction(usize::MAX)?,
            LayoutPart::Fraction { .. } => {}
        }
        Ok(())
    }

    fn blanks(&mut self, most: usize) {
        for _ in 0..most {
            self.rest = self.rest.strip_prefix(b" ").unwrap_or(self.rest);
        }
    }

    fn either(&mut self, first: &[u8], second: &[u8]) -> Result<bool, FieldError> {
        match self.take(2)? {
            taken if taken == first => Ok(false),
            taken if taken == second => Ok(true),
            _ => Err(FieldError::Syntax),
        }
    }

    fn at_fraction(&self) -> bool {
        matches!(self.rest, [b'.' | b',', digit, ..] if digit.is_ascii_digit())
    }

    /// Reads a fraction of `most` digits, or of any number if `most` is `usize::MAX`, as nanoseconds.
    fn fraction(&mut self, most: usize) -> Result<u32, FieldError> {
        self.rest = &self.rest[1..];
        let count = self.digit_count(most);
        if count == 0 || (most != usize::MAX && count != most) {
            return Err(FieldError::Syntax);
        }
        let digits = self.take(count)?;
        // Digits beyond nanoseconds are ignored.
        let shown = &digits[..count.min(9)];
        Ok(decimal(shown) * 10_u32.pow(9 - shown.len() as u32))
    }

    fn offset(&mut self, form: OffsetForm) -> Result<i32, FieldError> {
        let step = 2 + usize::from(form.has_colons);
        let count = usize::from(form.parts);
        let text = self.take(1 + step * count - usize::from(form.has_colons))?;
        let mut parts = [0; 3];
        let mut bad = false;
        for (index, part) in parts.iter_mut().enumerate().take(count) {
            let at = 1 + step * index;
            if form.has_colons && index > 0 && text[at - 1] != b':' {
                return Err(FieldError::Syntax);
            }
            let digits = &text[at..at + 2];
            bad |= !digits.iter().all(u8::is_ascii_digit);
            // Go reports an earlier part that is out of range before an invalid digit, so the digit error is delayed.
            *part = if bad { 0 } else { decimal(digits) };
        }
        let names = ["time zone offset hour", "time zone offset minute", "time zone offset second"];
        // Go accepts 24 hours and 60 minutes here.
        for ((part, most), name) in parts.into_iter().zip([24, 60, 60]).zip(names) {
            if part > most {
                return Err(FieldError::Range(name));
            }
        }
        let [hours, minutes, seconds] = parts.map(|part| part as i32);
        match text[0] {
            b'+' if !bad => Ok((hours * 60 + minutes) * 60 + seconds),
            b'-' if !bad => Ok(-((hours * 60 + minutes) * 60 + seconds)),
            _ => Err(FieldError::Syntax),
        }
    }

    /// Reads the abbreviation of a zone, such as `CEST` or `GMT-3`.
    fn zone(&mut self, fields: &mut Fields) -> Result<(), FieldError> {
        if let Some(rest) = self.rest.strip_prefix(b"UTC") {
            self.rest = rest;
            fields.is_utc = true;
            return Ok(());
        }
        let length = zone_length(self.rest).ok_or(FieldError::Syntax)?;
        fields.zone = String::from_utf8_lossy(self.take(length)?).into_owned();
        Ok(())
    }
}

/// Reads a number of two digits. Go also accepts a sign in place of the first digit.
fn two_digits(text: &[u8]) -> Option<i64> {
    let (sign, digits) = match text {
        [b'-', digit] => (-1, std::slice::from_ref(digit)),
        [b'+', digit] => (1, std::slice::from_ref(digit)),
        digits => (1, digits),
    };
    digits.iter().all(u8::is_ascii_digit).then(|| sign * i64::from(decimal(digits)))
}

fn decimal(digits: &[u8]) -> u32 {
    digits.iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0'))
}

fn zone_length(text: &[u8]) -> Option<usize> {
    if text.len() < 3 {
        return None;
    }
    // These are the only abbreviations with a small letter.
    if text.starts_with(b"ChST") || text.starts_with(b"MeST") {
        return Some(4);
    }
    if text.starts_with(b"GMT") {
        return Some(3 + signed_hours(&text[3..]));
    }
    if matches!(text[0], b'+' | b'-') {
        return Some(signed_hours(text)).filter(|&length| length > 0);
    }
    let letters = text.iter().take(6).take_while(|byte| byte.is_ascii_uppercase()).count();
    // Abbreviations of four or five letters end with T, except WITA in Indonesia. Six letters are invalid.
    match letters {
        3 => Some(3),
        4 if text[3] == b'T' || text.starts_with(b"WITA") => Some(4),
        5 if text[4] == b'T' => Some(5),
        _ => None,
    }
}

/// Returns the length of a sign and a number of hours below 24, or 0.
fn signed_hours(text: &[u8]) -> usize {
    let Some((b'+' | b'-', digits)) = text.split_first() else {
        return 0;
    };
    let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if count == 0 || count > 9 || decimal(&digits[..count]) > 23 { 0 } else { 1 + count }
}
