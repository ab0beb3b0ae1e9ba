//! The proleptic Gregorian calendar, and the English names of its months and weekdays.
//!
//! The calendar is written by hand because Go's years have no limit; those of the `jiff` crate end with 9999.

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

/// Returns year, month and day of the date that is `days` after 1970-01-01.
pub(super) fn from_days(days: i64) -> (i64, u32, u32) {
    // Years begin in March here, so that the leap day is the last day of a year.
    // 719468 is the number of days from 0000-03-01 to 1970-01-01, and 146097 that of 400 years, after which the
    // calendar repeats.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // From March on, the lengths of the months repeat every five months, which have 153 days.
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month as u32, day as u32)
}

/// Returns the number of days from 1970-01-01 to a date.
pub(crate) fn to_days(year: i64, month: u32, day: u32) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (i64::from(month) + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Returns the number of days in a month.
pub(crate) fn days_in_month(year: i64, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}
