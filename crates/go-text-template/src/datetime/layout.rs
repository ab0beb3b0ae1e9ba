//! Go's layouts: the reference time `Mon Jan 2 15:04:05 MST 2006` as a pattern.

/// A field of a layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LayoutPart {
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
    /// An offset from UTC.
    Offset(OffsetForm),
    /// A fraction of a second after a point or comma.
    Fraction {
        comma: bool,
        digits: usize,
        fixed: bool,
    },
}

/// The form of an offset from UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OffsetForm {
    /// Whether UTC is written as `Z`.
    pub(crate) has_zulu: bool,
    pub(crate) has_colons: bool,
    /// 1 for hours, 2 for hours and minutes, 3 for hours, minutes and seconds.
    pub(crate) parts: u8,
}

const fn offset(has_zulu: bool, has_colons: bool, parts: u8) -> LayoutPart {
    LayoutPart::Offset(OffsetForm { has_zulu, has_colons, parts })
}

/// The texts of the fields. The first one that matches is used, so `2006` precedes `2`.
const PARTS: &[(&str, LayoutPart)] = &[
    ("January", LayoutPart::LongMonth),
    ("Jan", LayoutPart::Month),
    ("Monday", LayoutPart::LongWeekday),
    ("Mon", LayoutPart::Weekday),
    ("MST", LayoutPart::Zone),
    ("002", LayoutPart::YearDayThree),
    ("01", LayoutPart::MonthTwo),
    ("02", LayoutPart::DayTwo),
    ("03", LayoutPart::Hour12Two),
    ("04", LayoutPart::MinuteTwo),
    ("05", LayoutPart::SecondTwo),
    ("06", LayoutPart::YearTwo),
    ("15", LayoutPart::Hour),
    ("1", LayoutPart::MonthNumber),
    ("2006", LayoutPart::Year),
    ("2", LayoutPart::Day),
    ("__2", LayoutPart::YearDayBlank),
    ("_2", LayoutPart::DayBlank),
    ("3", LayoutPart::Hour12),
    ("4", LayoutPart::Minute),
    ("5", LayoutPart::Second),
    ("PM", LayoutPart::Noon),
    ("pm", LayoutPart::NoonLower),
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

/// Splits a layout at its first field. Returns the text before the field, the field, and the rest of the layout.
pub(crate) fn next_part(layout: &[u8]) -> Option<(&[u8], LayoutPart, &[u8])> {
    for at in 0..layout.len() {
        let rest = &layout[at..];
        if rest.starts_with(b"_2006") {
            // `_2006` is an underscore and the year, not `_2` and `006`.
            return Some((&layout[..=at], LayoutPart::Year, &rest[5..]));
        }
        if rest.starts_with(b"Jan") || rest.starts_with(b"Mon") {
            let long = rest.starts_with(b"January") || rest.starts_with(b"Monday");
            // `Month` does not begin with the field `Mon`.
            if !long && rest.get(3).is_some_and(u8::is_ascii_lowercase) {
                continue;
            }
        }
        // A fraction is a field only if no other digit follows it, so `.000` in `1.0001` is literal text.
        if let Some((part, length)) = fraction(rest) {
            return Some((&layout[..at], part, &rest[length..]));
        }
        if let Some((text, part)) = PARTS.iter().find(|(text, _)| rest.starts_with(text.as_bytes())) {
            return Some((&layout[..at], *part, &rest[text.len()..]));
        }
    }
    None
}

/// Reads a fraction such as `.000` or `,999`, which no digit may follow. Returns it with its length.
fn fraction(rest: &[u8]) -> Option<(LayoutPart, usize)> {
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
    Some((LayoutPart::Fraction { comma, digits, fixed: digit == b'0' }, 1 + digits))
}
