//! Points in time and the zones they are shown in.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::tz::TimeZone;

const DAY: i64 = 86_400;

/// A `time.Time`: a point in time, and the zone to show it in.
#[derive(Clone, Debug)]
pub struct Time {
    /// Seconds since 1970.
    pub(crate) seconds: i64,
    pub(crate) nanos: u32,
    pub(crate) zone: Zone,
}

#[derive(Clone, Debug)]
pub(crate) enum Zone {
    Utc,
    /// The local zone, which is like UTC unless another one was given.
    Local,
    /// Seconds east of Greenwich, and an abbreviation, which may be empty.
    Fixed(i32, Arc<str>),
    Named(TimeZone),
}

impl Zone {
    /// A zone by its name in the time zone database of the system.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "" | "UTC" => Some(Self::Utc),
            name => TimeZone::get(name).ok().map(Self::Named),
        }
    }

    /// Seconds east of Greenwich and the abbreviation at a point in time.
    pub(crate) fn offset(&self, seconds: i64) -> (i32, Arc<str>) {
        match self {
            Self::Utc | Self::Local => (0, "UTC".into()),
            Self::Fixed(offset, name) => (*offset, name.clone()),
            Self::Named(zone) => match jiff::Timestamp::from_second(seconds) {
                Ok(timestamp) => {
                    let info = zone.to_offset_info(timestamp);
                    (info.offset().seconds(), info.abbreviation().into())
                }
                Err(_) => (0, "UTC".into()),
            },
        }
    }
}

/// The fields of a date and time of day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Civil {
    pub(crate) year: i64,
    /// From 1.
    pub(crate) month: u32,
    pub(crate) day: u32,
    pub(crate) hour: u32,
    pub(crate) minute: u32,
    pub(crate) second: u32,
    pub(crate) nanos: u32,
    /// From 0, which is Sunday.
    pub(crate) weekday: u32,
    /// From 1.
    pub(crate) year_day: u32,
    pub(crate) offset: i32,
    pub(crate) zone: Arc<str>,
}

impl Time {
    /// Go's zero time, the first second of the year 1.
    pub(crate) const ZERO: Self = Self { seconds: -62_135_596_800, nanos: 0, zone: Zone::Utc };

    pub(crate) fn from_system(time: SystemTime, zone: Zone) -> Self {
        let (seconds, nanos) = match time.duration_since(UNIX_EPOCH) {
            Ok(since) => (since.as_secs() as i64, since.subsec_nanos()),
            Err(before) => {
                let before = before.duration();
                let borrow = i64::from(before.subsec_nanos() > 0);
                let nanos = (1_000_000_000 - before.subsec_nanos()) % 1_000_000_000;
                (-(before.as_secs() as i64) - borrow, nanos)
            }
        };
        Self { seconds, nanos, zone }
    }

    pub(crate) fn in_zone(&self, zone: Zone) -> Self {
        Self { zone, ..self.clone() }
    }

    /// Later by so many nanoseconds.
    pub(crate) fn add(&self, nanos: i64) -> Self {
        let total = i64::from(self.nanos) + nanos.rem_euclid(1_000_000_000);
        let carry = nanos.div_euclid(1_000_000_000) + total / 1_000_000_000;
        Self {
            seconds: self.seconds.saturating_add(carry),
            nanos: (total % 1_000_000_000) as u32,
            zone: self.zone.clone(),
        }
    }

    /// The nanoseconds since another time, at the limit of the type where there are more.
    pub(crate) fn since(&self, earlier: &Self) -> i64 {
        let seconds = i128::from(self.seconds) - i128::from(earlier.seconds);
        let nanos = seconds * 1_000_000_000 + i128::from(self.nanos) - i128::from(earlier.nanos);
        nanos.clamp(i64::MIN.into(), i64::MAX.into()) as i64
    }

    pub(crate) fn civil(&self) -> Civil {
        let (offset, zone) = self.zone.offset(self.seconds);
        let local = self.seconds.saturating_add(offset.into());
        let days = local.div_euclid(DAY);
        let second = local.rem_euclid(DAY) as u32;
        let (year, month, day) = from_days(days);
        Civil {
            year,
            month,
            day,
            hour: second / 3600,
            minute: second / 60 % 60,
            second: second % 60,
            nanos: self.nanos,
            // 1970 began on a Thursday.
            weekday: (days + 4).rem_euclid(7) as u32,
            year_day: (days - to_days(year, 1, 1) + 1) as u32,
            offset,
            zone,
        }
    }
}

/// The date that is so many days after 1970-01-01, in the proleptic Gregorian calendar.
fn from_days(days: i64) -> (i64, u32, u32) {
    // Years begin in March here, so that the leap day is their last.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month as u32, day as u32)
}

/// The days from 1970-01-01 to a date.
pub(crate) fn to_days(year: i64, month: u32, day: u32) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (i64::from(month) + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// How many days a month has.
pub(crate) fn days_in_month(year: i64, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_calendar() {
        assert_eq!(from_days(0), (1970, 1, 1));
        assert_eq!(from_days(to_days(2024, 2, 29)), (2024, 2, 29));
        assert_eq!(from_days(to_days(-1, 12, 31)), (-1, 12, 31));
        let zero = Time::ZERO.civil();
        assert_eq!((zero.year, zero.month, zero.day, zero.weekday, zero.year_day), (1, 1, 1, 1, 1));
    }

    #[test]
    fn adds_and_subtracts() {
        let later = Time::ZERO.add(-1);
        assert_eq!((later.seconds, later.nanos), (Time::ZERO.seconds - 1, 999_999_999));
        assert_eq!(Time::ZERO.since(&later), 1);
    }
}
