//! Points in time.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::datetime::calendar::{from_days, to_days};
use crate::datetime::zone::Zone;

const SECONDS_PER_DAY: i64 = 86_400;
const NANOS_PER_SECOND: i128 = 1_000_000_000;

/// A point in time and the zone in which it is shown: Go's `time.Time`. Functions such as `now` return it, and
/// templates call its methods such as `Format`.
#[derive(Clone, Debug)]
pub struct Time {
    /// Seconds since 1970 in UTC.
    pub(crate) seconds: i64,
    pub(crate) nanos: u32,
    pub(crate) zone: Zone,
}

/// The date and time of day of a [`Time`] in its zone.
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
    /// From 0, Sunday.
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
        let nanos = match time.duration_since(UNIX_EPOCH) {
            Ok(since) => since.as_nanos() as i128,
            Err(before) => -(before.duration().as_nanos() as i128),
        };
        Self::from_nanos(nanos, zone)
    }

    /// Makes the time that is later than 1970 by `nanos` nanoseconds.
    fn from_nanos(nanos: i128, zone: Zone) -> Self {
        // Nanoseconds always count forward, so a time before 1970 borrows a second.
        let seconds = nanos.div_euclid(NANOS_PER_SECOND).clamp(i64::MIN.into(), i64::MAX.into());
        Self { seconds: seconds as i64, nanos: nanos.rem_euclid(NANOS_PER_SECOND) as u32, zone }
    }

    /// Returns the nanoseconds since 1970, which only `i128` can hold.
    fn to_nanos(&self) -> i128 {
        i128::from(self.seconds) * NANOS_PER_SECOND + i128::from(self.nanos)
    }

    pub(crate) fn in_zone(&self, zone: Zone) -> Self {
        Self { zone, ..self.clone() }
    }

    /// Returns the time that is later by `nanos` nanoseconds.
    pub(crate) fn add(&self, nanos: i64) -> Self {
        Self::from_nanos(self.to_nanos() + i128::from(nanos), self.zone.clone())
    }

    /// Returns the nanoseconds since an earlier time, limited to the range of `i64` as in Go.
    pub(crate) fn since(&self, earlier: &Self) -> i64 {
        let nanos = self.to_nanos() - earlier.to_nanos();
        nanos.clamp(i64::MIN.into(), i64::MAX.into()) as i64
    }

    /// Returns the date and time of day.
    pub(crate) fn civil(&self) -> Civil {
        let (offset, zone) = self.zone.offset(self.seconds);
        let local = self.seconds.saturating_add(offset.into());
        let days = local.div_euclid(SECONDS_PER_DAY);
        let second = local.rem_euclid(SECONDS_PER_DAY) as u32;
        let (year, month, day) = from_days(days);
        Civil {
            year,
            month,
            day,
            hour: second / 3600,
            minute: second / 60 % 60,
            second: second % 60,
            nanos: self.nanos,
            // 1970-01-01 was a Thursday.
            weekday: (days + 4).rem_euclid(7) as u32,
            year_day: (days - to_days(year, 1, 1) + 1) as u32,
            offset,
            zone,
        }
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
    fn adds_and_subtracts_durations() {
        let later = Time::ZERO.add(-1);
        assert_eq!((later.seconds, later.nanos), (Time::ZERO.seconds - 1, 999_999_999));
        assert_eq!(Time::ZERO.since(&later), 1);
    }
}
