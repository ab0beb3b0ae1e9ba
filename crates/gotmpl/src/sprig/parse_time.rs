//! Reads times in Go's layouts.

use crate::layout::{MONTHS, OffsetForm, Part, WEEKDAYS, next_part};
use crate::time::{Time, Zone, days_in_month, to_days};

/// Reads a time; where the text names no zone, it is in the local one.
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
            Err(Bad::Form) => return cannot(held, element),
            Err(Bad::Range(what)) => return wrong(&format!("{what} out of range")),
        }
    }
    if !reader.rest.is_empty() {
        return wrong(&format!("extra text: {}", quote(reader.rest)));
    }
    fields.finish(local).or_else(wrong)
}

/// The simple quotes that Go's `time` uses: whatever is not plain ASCII is escaped byte by byte.
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

/// Why a part cannot be read.
enum Bad {
    Form,
    Range(&'static str),
}

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
    /// Afternoon or morning.
    afternoon: Option<bool>,
    utc: bool,
    offset: Option<i32>,
    zone: String,
}

impl Fields {
    fn finish(mut self, local: &Zone) -> Result<Time, &'static str> {
        match self.afternoon {
            Some(true) if self.hour < 12 => self.hour += 12,
            Some(false) if self.hour == 12 => self.hour = 0,
            _ => {}
        }
        if let Some(year_day) = self.year_day {
            self.take_year_day(year_day)?;
        }
        let (month, day) = (self.month.unwrap_or(1), self.day.unwrap_or(1));
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
        if self.month.is_some_and(|given| given != month) {
            return Err("day-of-year does not match month");
        }
        if self.day.is_some_and(|given| given != rest) {
            return Err("day-of-year does not match day");
        }
        (self.month, self.day) = (Some(month), Some(rest));
        Ok(())
    }

    /// The time whose clock shows so many seconds since 1970 in the zone that was read, or else in the local one.
    fn in_zone(self, seconds: i64, local: &Zone) -> Time {
        let at =
            |offset: i32, zone: Zone| Time { seconds: seconds - i64::from(offset), nanos: self.nanos, zone };
        if self.utc {
            return at(0, Zone::Utc);
        }
        if let Some(offset) = self.offset {
            let (local_offset, name) = local.offset(seconds - i64::from(offset));
            if local_offset == offset && (self.zone.is_empty() || *name == self.zone) {
                return at(offset, local.clone());
            }
            return at(offset, Zone::Fixed(offset, self.zone.as_str().into()));
        }
        // Of two offsets, the one that holds at the time itself counts.
        let (first, _) = local.offset(seconds);
        let (offset, name) = local.offset(seconds - i64::from(first));
        if self.zone.is_empty() || *name == self.zone {
            return at(offset, local.clone());
        }
        let hours = self.zone.strip_prefix("GMT").and_then(|hours| hours.parse::<i32>().ok());
        let named = Zone::Fixed(hours.unwrap_or(0) * 3600, self.zone.as_str().into());
        // Go shows the offset of such a zone, but does not count it.
        at(0, named)
    }
}

struct Reader<'t> {
    rest: &'t [u8],
}

impl<'t> Reader<'t> {
    /// Passes over literal text of the layout; blanks of any number match.
    fn skip(&mut self, mut prefix: &[u8]) -> bool {
        while let Some(&first) = prefix.first() {
            if first == b' ' {
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

    fn take(&mut self, count: usize) -> Result<&'t [u8], Bad> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Bad::Form)?;
        self.rest = rest;
        Ok(taken)
    }

    fn digit_count(&self, most: usize) -> usize {
        self.rest.iter().take(most).take_while(|byte| byte.is_ascii_digit()).count()
    }

    /// A number of one digit up to `most`, or of just so many.
    fn number(&mut self, most: usize, fixed: bool) -> Result<u32, Bad> {
        let count = self.digit_count(most);
        if count == 0 || (fixed && count != most) {
            return Err(Bad::Form);
        }
        Ok(decimal(self.take(count)?))
    }

    fn limited(&mut self, fixed: bool, most: u32, what: &'static str) -> Result<u32, Bad> {
        let number = self.number(2, fixed)?;
        if number > most { Err(Bad::Range(what)) } else { Ok(number) }
    }

    /// One of several names in any case; its index.
    fn name(&mut self, names: &[&str], length: Option<usize>) -> Result<u32, Bad> {
        for (index, name) in names.iter().enumerate() {
            let name = &name[..length.unwrap_or(name.len())];
            let start = self.rest.get(..name.len());
            if start.is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes())) {
                self.rest = &self.rest[name.len()..];
                return Ok(index as u32);
            }
        }
        Err(Bad::Form)
    }

    fn part(&mut self, part: Part, layout_rest: &[u8], fields: &mut Fields) -> Result<(), Bad> {
        match part {
            Part::YearTwo => {
                let year = two_digits(self.take(2)?).ok_or(Bad::Form)?;
                fields.year = if year >= 69 { year + 1900 } else { year + 2000 };
            }
            Part::Year => fields.year = self.number(4, true)?.into(),
            Part::Month => fields.month = Some(self.name(&MONTHS, Some(3))? + 1),
            Part::LongMonth => fields.month = Some(self.name(&MONTHS, None)? + 1),
            Part::MonthNumber | Part::MonthTwo => {
                let month = self.limited(part == Part::MonthTwo, 12, "month")?;
                fields.month = Some(month).filter(|&month| month > 0);
                fields.month.ok_or(Bad::Range("month"))?;
            }
            Part::Weekday => drop(self.name(&WEEKDAYS, Some(3))?),
            Part::LongWeekday => drop(self.name(&WEEKDAYS, None)?),
            Part::Day | Part::DayBlank | Part::DayTwo => {
                self.blanks(usize::from(part == Part::DayBlank));
                fields.day = Some(self.number(2, part == Part::DayTwo)?);
            }
            Part::YearDayBlank | Part::YearDayThree => {
                self.blanks(if part == Part::YearDayBlank { 2 } else { 0 });
                fields.year_day = Some(self.number(3, part == Part::YearDayThree)?);
            }
            Part::Hour => fields.hour = self.limited(false, 23, "hour")?,
            Part::Hour12 | Part::Hour12Two => {
                fields.hour = self.limited(part == Part::Hour12Two, 12, "hour")?;
            }
            Part::Minute | Part::MinuteTwo => {
                fields.minute = self.limited(part == Part::MinuteTwo, 59, "minute")?;
            }
            Part::Second | Part::SecondTwo => {
                fields.second = self.limited(part == Part::SecondTwo, 59, "second")?;
                // A fraction is read even where the layout has none.
                let in_layout = matches!(next_part(layout_rest), Some((_, Part::Fraction { .. }, _)));
                if !in_layout && self.at_fraction() {
                    fields.nanos = self.fraction(usize::MAX)?;
                }
            }
            Part::Noon => fields.afternoon = Some(self.either(b"AM", b"PM")?),
            Part::NoonLower => fields.afternoon = Some(self.either(b"am", b"pm")?),
            Part::Offset(form) if form.zulu && self.rest.first() == Some(&b'Z') => {
                self.rest = &self.rest[1..];
                fields.utc = true;
            }
            Part::Offset(form) => fields.offset = Some(self.offset(form)?),
            Part::Zone => self.zone(fields)?,
            Part::Fraction { digits, fixed: true, .. } => {
                let comma_or_point = matches!(self.rest.first(), Some(b'.' | b','));
                if !comma_or_point || self.rest.len() <= digits {
                    return Err(Bad::Form);
                }
                fields.nanos = self.fraction(digits)?;
            }
            Part::Fraction { .. } if self.at_fraction() => fields.nanos = self.fraction(usize::MAX)?,
            Part::Fraction { .. } => {}
        }
        Ok(())
    }

    fn blanks(&mut self, most: usize) {
        for _ in 0..most {
            self.rest = self.rest.strip_prefix(b" ").unwrap_or(self.rest);
        }
    }

    fn either(&mut self, first: &[u8], second: &[u8]) -> Result<bool, Bad> {
        match self.take(2)? {
            taken if taken == first => Ok(false),
            taken if taken == second => Ok(true),
            _ => Err(Bad::Form),
        }
    }

    fn at_fraction(&self) -> bool {
        matches!(self.rest, [b'.' | b',', digit, ..] if digit.is_ascii_digit())
    }

    /// Nanoseconds from a fraction of at most so many digits; all count that fit.
    fn fraction(&mut self, most: usize) -> Result<u32, Bad> {
        self.rest = &self.rest[1..];
        let count = self.digit_count(most);
        if count == 0 || (most != usize::MAX && count != most) {
            return Err(Bad::Form);
        }
        let digits = self.take(count)?;
        let shown = &digits[..count.min(9)];
        Ok(decimal(shown) * 10_u32.pow(9 - shown.len() as u32))
    }

    fn offset(&mut self, form: OffsetForm) -> Result<i32, Bad> {
        let step = 2 + usize::from(form.colons);
        let count = usize::from(form.parts);
        let text = self.take(1 + step * count - usize::from(form.colons))?;
        let mut parts = [0; 3];
        let mut bad = false;
        for (index, part) in parts.iter_mut().enumerate().take(count) {
            let at = 1 + step * index;
            if form.colons && index > 0 && text[at - 1] != b':' {
                return Err(Bad::Form);
            }
            let digits = &text[at..at + 2];
            bad |= !digits.iter().all(u8::is_ascii_digit);
            *part = if bad { 0 } else { decimal(digits) };
        }
        let names = ["time zone offset hour", "time zone offset minute", "time zone offset second"];
        for ((part, most), name) in parts.into_iter().zip([24, 60, 60]).zip(names) {
            if part > most {
                return Err(Bad::Range(name));
            }
        }
        let [hours, minutes, seconds] = parts.map(|part| part as i32);
        match text[0] {
            b'+' if !bad => Ok((hours * 60 + minutes) * 60 + seconds),
            b'-' if !bad => Ok(-((hours * 60 + minutes) * 60 + seconds)),
            _ => Err(Bad::Form),
        }
    }

    /// An abbreviation such as `CEST`, or `GMT-3`.
    fn zone(&mut self, fields: &mut Fields) -> Result<(), Bad> {
        if let Some(rest) = self.rest.strip_prefix(b"UTC") {
            self.rest = rest;
            fields.utc = true;
            return Ok(());
        }
        let length = zone_length(self.rest).ok_or(Bad::Form)?;
        fields.zone = String::from_utf8_lossy(self.take(length)?).into_owned();
        Ok(())
    }
}

/// Two digits; Go lets the first be a sign.
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
    match letters {
        3 => Some(3),
        4 if text[3] == b'T' || text.starts_with(b"WITA") => Some(4),
        5 if text[4] == b'T' => Some(5),
        _ => None,
    }
}

/// The length of a signed number of less than 24 hours.
fn signed_hours(text: &[u8]) -> usize {
    let Some((b'+' | b'-', digits)) = text.split_first() else {
        return 0;
    };
    let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if count == 0 || count > 9 || decimal(&digits[..count]) > 23 { 0 } else { 1 + count }
}
